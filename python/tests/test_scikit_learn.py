"""scikit-learn's own checks of estimators, and what its users do with them."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn import config_context, neural_network
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV, cross_val_score
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gputrain import ConvClassifier, MLPClassifier, MLPRegressor, RandomSearchCV, SearchCV

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


def test_scores_of_what_is_held_out_are_kept(digits):
    X, y = digits
    network = MLPClassifier((16,), max_iter=8, early_stopping=True, random_state=0, device="cpu")
    fitted = clone(network).fit(X, y)
    assert fitted.validation_scores_ == [epoch["validation_accuracy"] for epoch in fitted.run_.history]
    assert len(fitted.validation_scores_) == fitted.n_iter_
    assert fitted.best_validation_score_ == max(fitted.validation_scores_) == fitted.run_.summary["validation_accuracy"]
    assert fitted.best_loss_ is None
    values = MLPRegressor((16,), max_iter=8, early_stopping=True, random_state=0, device="cpu").fit(X, y / 10)
    assert values.best_validation_score_ == pytest.approx(values.run_.summary["metrics"]["validation"]["r2"], abs=1e-6)
    assert len(values.validation_scores_) == values.n_iter_
    without = clone(network).set_params(early_stopping=False).fit(X, y)
    assert without.validation_scores_ is without.best_validation_score_ is None
    assert without.best_loss_ == min(without.loss_curve_)
    bits = clone(network).fit(X, np.stack([y % 2, y // 5], axis=1))
    assert len(bits.validation_scores_) == 8 and bits.best_loss_ is None
    # The share of rows without a mistake.
    assert bits.best_validation_score_ == pytest.approx(bits.run_.summary["metrics"]["validation"]["subset_accuracy"], abs=1e-6)
    # What was kept is that of the last fit.
    assert len(fitted.set_params(warm_start=True, max_iter=3).fit(X, y).validation_scores_) == 3


def test_epochs_that_end_before_convergence_are_warned_of(digits):
    network = MLPClassifier((16,), max_iter=3, random_state=0, device="cpu")
    # The last two come to a stop in their last epoch, and are not asked to stop.
    for converged in ({"tol": 100.0, "n_iter_no_change": 1, "max_iter": 50}, {"tol": 100.0, "n_iter_no_change": 1}, {"n_iter_no_change": None}):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            fitted = clone(network).set_params(**converged).fit(*digits)
            fitted.partial_fit(*digits)
    with pytest.warns(ConvergenceWarning, match="3.*hasn't converged"):
        fitted = network.fit(*digits)
    assert fitted.n_iter_ == 3


def test_epochs_are_told_in_the_words_of_scikit_learn(digits, capsys):
    network = MLPClassifier((16,), max_iter=3, random_state=0, device="cpu")
    clone(network).fit(*digits)
    assert capsys.readouterr().out == ""
    fitted = clone(network).set_params(verbose=True).fit(*digits)
    assert capsys.readouterr().out.splitlines() == [f"Iteration {i + 1}, loss = {loss:.8f}" for i, loss in enumerate(fitted.loss_curve_)]
    fitted.partial_fit(*digits)
    assert capsys.readouterr().out == f"Iteration 4, loss = {fitted.loss_:.8f}\n"
    with pytest.raises(FloatingPointError):
        clone(network).set_params(verbose=True, learning_rate_init=1e30).fit(*digits)
    assert capsys.readouterr().out == "Iteration 1, loss = nan\n"
    stopping = MLPRegressor((16,), max_iter=2, verbose=1, early_stopping=True, random_state=0, device="cpu").fit(*digits)
    assert capsys.readouterr().out.splitlines()[1::2] == [f"Validation score: {score:f}" for score in stopping.validation_scores_]


def rates_of_scikit_learn(fitted):
    """The rate of each epoch and whether it stopped after the last one, as scikit-learn's own code says of the losses and scores that
    were measured."""
    theirs = neural_network.MLPClassifier(tol=fitted.tol, n_iter_no_change=fitted.n_iter_no_change)
    theirs.loss_curve_, theirs.best_loss_, theirs._no_improvement_count = [], np.inf, 0
    theirs.validation_scores_, theirs.best_validation_score_, theirs.coefs_, theirs.intercepts_ = [], -np.inf, [], []
    schedule = fitted.learning_rate if fitted.solver == "sgd" else "constant"
    optimizer = SGDOptimizer([], fitted.learning_rate_init, schedule, power_t=fitted.power_t)
    scores = iter(fitted.validation_scores_ or [])
    theirs._score = lambda *_, **__: next(scores)
    rates, examples = [], fitted.t_ // fitted.n_iter_
    for loss in fitted.loss_curve_:
        rates.append(optimizer.learning_rate)
        theirs.loss_curve_.append(loss)
        theirs._update_no_improvement_count(fitted.early_stopping, None, None, None)
        optimizer.iteration_ends(len(rates) * examples)
        if theirs._no_improvement_count > theirs.n_iter_no_change:
            if optimizer.trigger_stopping("", False):
                return rates, len(rates) == fitted.n_iter_
            theirs._no_improvement_count = 0
    return rates, False


@pytest.mark.parametrize(
    "parameters",
    [
        {"tol": 0.02}, {"tol": 1e-3, "learning_rate_init": 0.05}, {"tol": 0.01, "early_stopping": True, "n_iter_no_change": 3},
        {"learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 2, "learning_rate_init": 0.2}, {"learning_rate": "adaptive"},
        {"learning_rate": "adaptive", "tol": 0.01, "n_iter_no_change": 1, "learning_rate_init": 0.2, "early_stopping": True},
        {"learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3}, {"learning_rate": "adaptive", "solver": "adam", "tol": 0.05},
    ],
)
def test_training_slows_down_and_stops_by_the_rule_of_scikit_learn(digits, parameters):
    network = MLPClassifier((16,), solver="sgd", max_iter=150, random_state=0, device="cpu").set_params(**parameters)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ConvergenceWarning)
        fitted = network.fit(*digits)
    rates, has_stopped = rates_of_scikit_learn(fitted)
    assert len(rates) == fitted.n_iter_
    assert has_stopped == (fitted.n_iter_ < 150) == (not warned)
    at_begin = [epoch.get("learning_rate_before", epoch["learning_rate"]) for epoch in fitted.run_.history]
    assert np.allclose(at_begin, rates, rtol=1e-6, atol=0)
    if "invscaling" in parameters.values() or parameters == {"learning_rate": "adaptive"}:
        return
    assert has_stopped and (len(set(rates)) > 2) == (parameters.get("learning_rate") == "adaptive" and fitted.solver == "sgd")
    # As there, the weights are those of the last epoch, but where examples are held out.
    best = int(np.argmax(fitted.validation_scores_)) + 1 if fitted.early_stopping else fitted.n_iter_
    assert fitted.run_.summary["best_epoch"] == best


def test_parts_follow_the_inverse_scaling(digits):
    X, y = digits[0][:200], digits[1][:200]
    network = MLPClassifier((8,), solver="sgd", learning_rate="invscaling", learning_rate_init=0.5, random_state=0, device="cpu")
    fit, parts = clone(network).set_params(max_iter=3).fit(X, y), clone(network)
    for _ in range(3):
        parts.partial_fit(X, y, classes=np.arange(10))
    assert parts.model_.parameter_hash == fit.model_.parameter_hash and parts.t_ == fit.t_ == 600


def test_what_scikit_learn_has_and_is_not_there_is_refused_with_a_remedy(digits):
    X, y = digits[0][:50], digits[1][:50]
    for network, words in (
        (MLPClassifier(solver="lbfgs", max_fun=100), "use solver='adam'"), (MLPRegressor(loss="poisson"), "use loss='squared_error'"),
        (MLPClassifier(learning_rate="fast"), "'learning_rate' parameter"),
    ):
        with pytest.raises(ValueError, match=words):
            network.fit(X, y)
    for network in (MLPRegressor(early_stopping=True), MLPRegressor(solver="sgd", learning_rate="adaptive")):
        with pytest.raises(ValueError, match="use fit"):
            network.partial_fit(X, y)


def test_parts_are_fitted_one_after_the_other(digits):
    X, y = digits
    network = MLPClassifier((32,), random_state=0, device="cpu", learning_rate_init=0.01)
    with pytest.raises(ValueError, match="classes"):
        network.partial_fit(X, y)
    for _ in range(10):
        network.partial_fit(X[:300], y[:300], classes=np.arange(10))
        network.partial_fit(X[300:], y[300:])
    assert network.score(X, y) > 0.8


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_optimizer_goes_on_from_part_to_part(digits, solver):
    X, y = digits[0][:200], digits[1][:200]
    network = MLPClassifier((16,), solver=solver, batch_size=50, n_iter_no_change=1000, random_state=0, device="cpu")
    # Two parts are two batches of an epoch.
    one = clone(network).set_params(shuffle=False, batch_size=100, max_iter=1).fit(X, y)
    two = clone(network).set_params(shuffle=False, batch_size=100).partial_fit(X[:100], y[:100], classes=np.arange(10))
    assert two.partial_fit(X[100:], y[100:]).model_.parameter_hash == one.model_.parameter_hash
    # Calls over the same examples are epochs, each in an order of its own.
    fit = clone(network).set_params(max_iter=3).fit(X, y)
    parts = clone(network)
    for _ in range(3):
        parts.partial_fit(X, y, classes=np.arange(10))
    assert parts.model_.parameter_hash == fit.model_.parameter_hash
    assert (parts.loss_curve_, parts.n_iter_, parts.t_) == (fit.loss_curve_, 3, fit.t_)
    # A fit goes on too, and a pickle has all of it; a clone begins anew.
    more = clone(network).set_params(max_iter=4).fit(X, y)
    for goes_on in (fit, pickle.loads(pickle.dumps(parts))):
        assert goes_on.partial_fit(X, y).model_.parameter_hash == more.model_.parameter_hash
    anew = clone(parts).partial_fit(X, y, classes=np.arange(10))
    assert anew.n_iter_ == 1 and anew.loss_curve_[0] == fit.loss_curve_[0]
    # What draws its seed goes on with the one that it has drawn.
    drawn = clone(network).set_params(random_state=None).partial_fit(X, y, classes=np.arange(10))
    assert drawn.partial_fit(X, y, np.ones(len(y))).loss_ < drawn.loss_curve_[0]
    with pytest.raises(ValueError, match="does not fit"):
        drawn.set_params(hidden_layer_sizes=(3,)).partial_fit(X, y)


def test_values_are_fitted_part_by_part():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:100], (y[:100] - y.mean()) / y.std()
    network = MLPRegressor((8,), random_state=0, device="cpu")
    parts = clone(network).partial_fit(X, y).partial_fit(X, y)
    assert parts.model_.parameter_hash == clone(network).set_params(max_iter=2).fit(X, y).model_.parameter_hash


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
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    drawn = RandomizedSearchCV(network, grid, n_iter=2, cv=2, random_state=0).fit(*digits)
    assert drawn.best_score_ > 0.3


def assert_same_search(estimator, grid, X, y, params={}, searches=(SearchCV, GridSearchCV), **more):
    more = {"refit": False} | more
    with warnings.catch_warnings(record=True) as ours_warned:
        warnings.simplefilter("always")
        ours = searches[0](estimator, grid, return_train_score=True, **more).fit(X, y, **params)
    with warnings.catch_warnings(record=True) as theirs_warned:
        warnings.simplefilter("always")
        theirs = searches[1](estimator, grid, return_train_score=True, **more).fit(X, y, **params)
    for name in theirs.cv_results_:
        if name.startswith(("split", "rank", "mean_test", "mean_train")):
            assert np.array_equal(ours.cv_results_[name], theirs.cv_results_[name], equal_nan=True), name
    kinds = [[warning.category for warning in warned if warning.category is FitFailedWarning] for warned in (ours_warned, theirs_warned)]
    assert kinds[0] == kinds[1]
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_"):
        one, other = (getattr(search, name, None) for search in (ours, theirs))
        assert one == other or one != one and other != other, name
    return ours


def test_candidates_are_drawn_as_scikit_learn_draws_them(digits):
    network = MLPClassifier((8,), max_iter=4, random_state=0, device="cpu")
    drawn = {"learning_rate_init": loguniform(1e-3, 1e-1), "alpha": [0.0, 1e-3, 1e-2]}
    both = (RandomSearchCV, RandomizedSearchCV)
    ours = assert_same_search(network, drawn, *digits, searches=both, n_iter=4, cv=2, random_state=1, refit=True)
    assert len(set(ours.cv_results_["param_learning_rate_init"])) == 4
    assert ours.predict(digits[0]).shape == digits[1].shape
    with pytest.raises(TypeError, match="RandomSearchCV.fit takes .* use RandomizedSearchCV"):
        RandomSearchCV(network, drawn).fit(*digits, weights=1)


def test_a_search_scores_by_several_metrics(digits):
    X, y = digits[0][:200], digits[1][:200]
    network = MLPClassifier((8,), learning_rate_init=0.02, max_iter=8, random_state=0, device="cpu")
    grid = {"alpha": [0.0, 1e-2, 1.0]}
    several = assert_same_search(network, grid, X, y, cv=3, scoring=["accuracy", "f1_macro"], refit="f1_macro")
    assert several.best_score_ == several.cv_results_["mean_test_f1_macro"].max()
    assert set(several.scorer_) == {"accuracy", "f1_macro"}
    by_rule = {"scoring": {"a": "accuracy"}, "refit": lambda results: 2}
    assert assert_same_search(network, grid, X, y, cv=3, **by_rule).best_index_ == 2
    dict_of = lambda fitted, X, y: {"right": fitted.score(X, y), "wrong": 1 - fitted.score(X, y)}
    for scoring in (["accuracy", "f1_macro"], dict_of):
        # Of a candidate that fails, all are none.
        lame = assert_same_search(network, {"alpha": [0.0, -1.0]}, X, y, cv=2, scoring=scoring)
        names = [name for name in lame.cv_results_ if name.startswith("mean_test")]
        assert len(names) == 2 and all(np.isnan(lame.cv_results_[name][1]) for name in names)
    with pytest.raises(ValueError, match="refit must be set"):
        SearchCV(network, grid, scoring=["accuracy", "f1_macro"]).fit(X, y)


def test_a_search_of_pipelines_fits_each_fold_on_its_own(digits):
    # 599 rows: folds of two sizes. The scaling is that of a fold's training rows.
    X, y = digits[0][:599] * np.linspace(0.1, 30, 64), digits[1][:599]
    pipeline = make_pipeline(StandardScaler(), SelectKBest(), MLPClassifier((8,), max_iter=3, random_state=0, device="cpu"))
    grid = {"selectkbest__k": [20, 40], "standardscaler": [StandardScaler(), "passthrough"], "mlpclassifier__alpha": [0.0, 1e-3]}
    ours = assert_same_search(pipeline, grid, pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)]), y, cv=3)
    assert len(set(ours.cv_results_["mean_test_score"])) > 2


def test_a_search_that_stops_early_gives_the_same_scores():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:203], (y[:203] - y.mean()) / y.std()
    network = MLPRegressor((8,), max_iter=40, early_stopping=True, n_iter_no_change=2, random_state=0, device="cpu")
    assert_same_search(network, {"learning_rate_init": [0.003, 0.1], "solver": ["adam", "sgd"]}, X, y, cv=KFold(3))
    classifier = MLPClassifier((8,), max_iter=20, early_stopping=True, n_iter_no_change=2, random_state=0, device="cpu")
    assert_same_search(classifier, {"learning_rate_init": [0.003, 0.1]}, X, np.array(["low", "high"])[(y > 0) * 1], cv=3)


def test_a_search_over_schedules_gives_the_same_scores(digits):
    X, y = digits[0][:240], digits[1][:240]
    network = MLPClassifier((8,), solver="sgd", tol=0.02, n_iter_no_change=1, max_iter=40, random_state=0, device="cpu")
    rates = {"learning_rate_init": [0.02, 0.3]}
    grid = [{"learning_rate": ["adaptive", "constant"], **rates}, {"learning_rate": ["invscaling"], "power_t": [0.1, 0.5], **rates}]
    ours = assert_same_search(network, grid, X, y, cv=3)
    assert len(set(ours.cv_results_["mean_test_score"])) > 4


def test_classes_that_a_fold_lacks_are_its_own_matter(digits):
    X, y = digits[0][:60], np.repeat(["a", "b", "c"], 20)
    # Each fold lacks another class.
    assert_same_search(MLPClassifier((8,), max_iter=3, random_state=0, device="cpu"), {"alpha": [0.0, 0.1]}, X, y, cv=KFold(3))


def test_a_candidate_that_fails_leaves_the_others(digits):
    network = MLPClassifier((8,), max_iter=3, random_state=0, device="cpu")
    X, y = digits[0][:120], digits[1][:120]
    for wrong in ({"learning_rate_init": [0.01, 1e30]}, {"alpha": [0.0, -1.0]}, {"solver": ["adam", "newton"]}):
        ours = assert_same_search(network, wrong, X, y, cv=2)
        assert np.isnan(ours.cv_results_["mean_test_score"]).sum() == 1
        with pytest.raises((FloatingPointError, ValueError)):
            SearchCV(network, wrong, cv=2, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="fits failed"):
        SearchCV(network, {"solver": ["newton"]}, cv=2).fit(X, y)


def test_a_score_that_fails_is_none(digits):
    network = MLPClassifier((8,), max_iter=2, random_state=0, device="cpu")
    # Of ten classes there is no such curve unless it is said how they are averaged.
    ours = assert_same_search(network, {"alpha": [0.0]}, digits[0][:120], digits[1][:120], cv=2, scoring="roc_auc")
    assert np.isnan(ours.cv_results_["mean_test_score"]).all()


def test_folds_that_take_much_memory_train_one_after_the_other(digits, monkeypatch):
    from gputrain import _search

    calls = []
    train = _search.train_folds
    monkeypatch.setattr(_search, "train_folds", lambda texts, Xs, ys, **more: calls.append((len(texts), len(Xs))) or train(texts, Xs, ys, **more))
    network, grid = MLPClassifier((8,), max_iter=2, random_state=0, device="cpu"), {"alpha": [1e-4, 1e-3]}
    results = [SearchCV(network, grid, cv=3).fit(*digits).cv_results_["mean_test_score"]]
    assert calls == [(6, 3)]
    monkeypatch.setattr(_search, "_MOST_BYTES", 2 * 4 * 64 * 400)
    results.append(SearchCV(network, grid, cv=3).fit(*digits).cv_results_["mean_test_score"])
    assert calls[1:] == [(4, 2), (2, 1)]
    monkeypatch.undo()
    monkeypatch.setattr(_search, "train_folds", lambda texts, *more, **names: calls.append((len(texts), len(names["weights"]))) or train(texts, *more, **names))
    SearchCV(network, grid, cv=3, refit=False).fit(*digits, sample_weight=np.linspace(0.5, 2, 600))
    assert calls[3:] == [(6, 3)]
    assert np.array_equal(*results)


def test_a_search_takes_groups_and_weights(digits):
    X, y = digits[0][:200], digits[1][:200]
    groups, weights = np.arange(200) // 10, np.where(y == 3, 9, 0.1)
    network = MLPClassifier((8,), learning_rate_init=0.05, batch_size=50, max_iter=8, random_state=0, device="cpu")
    grid = {"alpha": [0.0, 1.0], "solver": ["adam", "sgd"]}
    grouped = assert_same_search(network, grid, X, y, {"groups": groups}, cv=GroupKFold(4))
    weighed = assert_same_search(network, grid, X, y, {"sample_weight": weights, "groups": groups}, cv=GroupKFold(4))
    name = "split0_test_score"
    assert not np.array_equal(weighed.cv_results_[name], grouped.cv_results_[name])
    pipeline = make_pipeline(StandardScaler(), network)
    piped = {f"mlpclassifier__{key}": values for key, values in grid.items()}
    assert_same_search(pipeline, piped, X, y, {"mlpclassifier__sample_weight": list(weights)}, cv=3)
    # A fold whose weights cannot be trained with fails alone.
    wrong = np.where(np.arange(200) == 0, -0.5, 1)
    lame = assert_same_search(network, grid, X, y, {"sample_weight": wrong}, cv=KFold(2))
    assert np.isnan(lame.cv_results_["split1_test_score"]).all() and not np.isnan(lame.cv_results_["split0_test_score"]).any()
    searches = [Search(network, grid, cv=2).fit(X, y, sample_weight=weights) for Search in (SearchCV, GridSearchCV)]
    assert len({search.best_estimator_.model_.parameter_hash for search in searches}) == 1
    for search, params in ((SearchCV(network, grid), {"sample_wieght": weights}), (SearchCV(pipeline, piped), {"sample_weight": weights})):
        with pytest.raises(TypeError, match="takes X, y, groups and .*sample_weight, not sample_w.*GridSearchCV"):
            search.fit(X, y, **params)
    with config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="routes no metadata"):
        SearchCV(network, grid).fit(X, y, groups=groups)


def test_a_search_over_something_else_is_refused(digits):
    for other in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(ValueError, match="GridSearchCV"):
            SearchCV(other, {}).fit(*digits)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_layer_sizes": (3.5,)}, {"hidden_layer_sizes": (0,)}, {"hidden_layer_sizes": [[3]]}, {"batch_size": 3.7}, {"max_iter": 0},
        {"max_iter": 2.5}, {"learning_rate_init": -1}, {"learning_rate_init": "fast"}, {"alpha": -1e-3}, {"momentum": 1.0}, {"tol": -1.0},
        {"n_iter_no_change": 0}, {"shuffle": "yes"}, {"solver": "lbfgs"}, {"precision": "f64"}, {"channels": (2.5,)}, {"kernel_size": 0},
    ],
)
def test_a_wrong_parameter_is_called_by_its_name(digits, wrong):
    X, y = digits[0][:20], digits[1][:20]
    [name] = wrong
    with pytest.raises(ValueError, match=name):
        ConvClassifier(device="cpu").set_params(**wrong).fit(X, y)


def test_weights_say_what_counts(digits):
    X, y = digits
    # With the weight of the others at 0, one class is all that there is to learn.
    fitted = MLPClassifier((16,), max_iter=20, learning_rate_init=0.01, random_state=0, device="cpu").fit(X, y, sample_weight=y == 3)
    assert (fitted.predict(X) == 3).all()
    for wrong in (np.zeros(len(y)), -np.ones(len(y)), np.ones(3)):
        with pytest.raises(ValueError, match="weight"):
            MLPClassifier(device="cpu").fit(X, y, sample_weight=wrong)
