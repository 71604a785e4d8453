"""scikit-learn's own checks of estimators, and what its users do with them."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gputrain import ConvClassifier, MLPClassifier, MLPRegressor, SearchCV

# Batches are drawn by their numbers of examples, not by weight: leaving an example out changes the others' order.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "an example of weight 0 still has its place in a batch",
}


@parametrize_with_checks(
    [MLPClassifier(max_iter=30, device="cpu"), MLPRegressor(max_iter=30, device="cpu")],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


def test_a_pipeline_is_cross_validated(digits):
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=40, learning_rate_init=0.01, random_state=0, device="cpu"))
    scores = cross_val_score(pipeline, *digits, cv=3)
    assert scores.mean() > 0.8, scores


def test_a_fit_is_cloned_and_pickled(digits):
    X, y = digits
    fitted = MLPClassifier((16,), max_iter=5, random_state=1, device="cpu").fit(X, y)
    again = clone(fitted).fit(X, y)
    assert again.model_.parameter_hash == fitted.model_.parameter_hash
    read = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(read.predict_proba(X), fitted.predict_proba(X))


def test_columns_of_a_frame_keep_their_names(digits, tmp_path):
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    fitted = MLPClassifier((8,), max_iter=2, random_state=0, device="cpu").fit(frame, y)
    assert list(fitted.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[frame.columns[::-1]])
    # The model alone knows them, too, and so does the program.
    assert fitted.model_.feature_names == list(frame.columns)
    assert np.array_equal(fitted.model_.outputs(frame[frame.columns[::-1]], "cpu"), fitted.predict_proba(frame).astype(np.float32))
    with pytest.raises(ValueError, match="pixel3"):
        fitted.model_.outputs(frame.drop(columns="pixel3"), "cpu")
    path = tmp_path / "model.safetensors"
    fitted.model_.save(path)
    frame[frame.columns[::-1]].to_csv(tmp_path / "rows.csv", index=False)
    program = [sys.executable, "-m", "gputrain", "--backend", "cpu", "predict", path, tmp_path / "rows.csv", "--out", tmp_path / "out.csv"]
    subprocess.run(program, check=True, capture_output=True)
    assert list(pd.read_csv(tmp_path / "out.csv")["class"]) == list(fitted.predict(frame))


def test_classes_may_be_strings(digits):
    X, y = digits
    names = np.array(["even", "odd"])[y % 2]
    fitted = MLPClassifier((32,), max_iter=30, random_state=0, device="cpu").fit(X, names)
    assert set(fitted.predict(X)) == {"even", "odd"}
    assert fitted.score(X, names) > 0.9
    assert fitted.model_.class_names == ["even", "odd"]


def test_bits_are_predicted_one_by_one():
    X, y = make_multilabel_classification(200, n_features=10, n_classes=3, random_state=0)
    fitted = MLPClassifier((32,), max_iter=100, random_state=0, device="cpu").fit(StandardScaler().fit_transform(X), y)
    assert fitted.predict(StandardScaler().fit_transform(X)).shape == y.shape


def test_values_are_fitted():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    fitted = MLPRegressor((16,), max_iter=50, random_state=0, device="cpu").fit(X, y)
    assert fitted.score(X, y) > 0.4
    both = MLPRegressor((16,), max_iter=5, random_state=0, device="cpu").fit(X, np.stack([y, -y], axis=1))
    assert both.predict(X).shape == (len(y), 2)


def test_early_stopping_holds_examples_out(digits):
    fitted = MLPClassifier((16,), max_iter=200, early_stopping=True, n_iter_no_change=3, random_state=0, device="cpu")
    fitted.fit(*digits)
    assert fitted.n_iter_ < 200
    assert fitted.run_.summary["validation_accuracy"] is not None


def test_parts_are_fitted_one_after_the_other(digits):
    X, y = digits
    network = MLPClassifier((32,), random_state=0, device="cpu", learning_rate_init=0.01)
    with pytest.raises(ValueError, match="classes"):
        network.partial_fit(X, y)
    for _ in range(10):
        network.partial_fit(X[:300], y[:300], classes=np.arange(10))
        network.partial_fit(X[300:], y[300:])
    assert network.score(X, y) > 0.8


def test_pictures_are_classified():
    X, y = load_digits(return_X_y=True)
    pictures = (X[:500] * 15).astype(np.uint8).reshape(-1, 8, 8)
    network = ConvClassifier((8,), hidden_layer_sizes=(16,), max_iter=15, random_state=0, device="cpu", learning_rate_init=0.01)
    network.fit(pictures, y[:500])
    assert network.score(pictures, y[:500]) > 0.9
    assert np.array_equal(network.predict(pictures.reshape(500, -1)), network.predict(pictures))
    with pytest.raises(ValueError, match="bytes"):
        network.predict(pictures / 255)


def test_a_search_side_by_side_gives_the_scores_of_one_after_the_other(digits):
    network = MLPClassifier((16,), max_iter=6, random_state=3, device="cpu")
    grid = {"learning_rate_init": [0.001, 0.01], "alpha": [0.0, 1e-3, 1e-2], "hidden_layer_sizes": [(8,), (16,)]}
    ours = SearchCV(network, grid, cv=3).fit(*digits)
    theirs = GridSearchCV(network, grid, cv=3).fit(*digits)
    for fold in range(3):
        name = f"split{fold}_test_score"
        assert np.array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    assert ours.best_params_ == theirs.best_params_
    assert np.array_equal(ours.predict(digits[0]), theirs.predict(digits[0]))
    drawn = RandomizedSearchCV(network, grid, n_iter=2, cv=2, random_state=0).fit(*digits)
    assert drawn.best_score_ > 0.3


def test_a_search_over_something_else_is_refused(digits):
    with pytest.raises(ValueError, match="GridSearchCV"):
        SearchCV(make_pipeline(StandardScaler(), MLPClassifier()), {}).fit(*digits)


def test_weights_say_what_counts(digits):
    X, y = digits
    # With the weight of the others at 0, one class is all that there is to learn.
    fitted = MLPClassifier((16,), max_iter=20, learning_rate_init=0.01, random_state=0, device="cpu").fit(X, y, sample_weight=y == 3)
    assert (fitted.predict(X) == 3).all()
    for wrong in (np.zeros(len(y)), -np.ones(len(y)), np.ones(3)):
        with pytest.raises(ValueError, match="weight"):
            MLPClassifier(device="cpu").fit(X, y, sample_weight=wrong)
