"""A grid search whose candidates train side by side."""

import json
import time
import warnings

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing

from ._estimators import _Network
from ._training import train_side_by_side


class SearchCV(GridSearchCV):
    """scikit-learn's ``GridSearchCV`` over an estimator of gputrain: in each fold, all candidates of one architecture train
    side by side, for little more than the time of one.

    ``fit`` gives each candidate the weights and so the scores that ``GridSearchCV`` gives it. The parameters are
    ``GridSearchCV``'s, with ``scoring`` of a single metric; ``n_jobs`` and ``pre_dispatch`` mean nothing here. Scale the features
    before: the estimator is one of gputrain's own, not a pipeline.
    """

    def fit(self, X, y):
        """Trains and scores every candidate on every fold, then the best one on all examples."""
        estimator = self.estimator
        if not isinstance(estimator, _Network):
            raise ValueError(
                f"SearchCV takes an estimator of gputrain, not {type(estimator).__name__}; use GridSearchCV for others, "
                "pipelines included"
            )
        if not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring)):
            raise ValueError("SearchCV scores by one metric; use GridSearchCV for several")
        scorer = check_scoring(estimator, self.scoring)
        folds = list(check_cv(self.cv, y, classifier=is_classifier(estimator)).split(X, y))
        candidates = list(ParameterGrid(self.param_grid))
        done = {}
        for fold, (rows, held_out) in enumerate(folds):
            part = [_safe_indexing(values, rows) for values in (X, y)]
            rest = [_safe_indexing(values, held_out) for values in (X, y)]
            for candidate, result in self._fold(estimator, candidates, part, rest, scorer).items():
                done[candidate, fold] = result
        out = [done[candidate, fold] for candidate in range(len(candidates)) for fold in range(len(folds))]
        self.scorer_, self.multimetric_, self.n_splits_ = scorer, False, len(folds)
        self.cv_results_ = self._format_results(candidates, len(folds), out)
        self.best_index_ = int(self._select_best_index(self.refit, "score", self.cv_results_))
        self.best_score_ = self.cv_results_["mean_test_score"][self.best_index_]
        self.best_params_ = self.cv_results_["params"][self.best_index_]
        if self.refit:
            self.best_estimator_ = clone(estimator).set_params(**self.best_params_)
            begun = time.perf_counter()
            self.best_estimator_.fit(X, y)
            self.refit_time_ = time.perf_counter() - begun
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    def _fold(self, estimator, candidates, part, rest, scorer):
        """The results of all candidates on one fold, as scikit-learn's ``_fit_and_score`` gives them."""
        groups = {}
        for number, parameters in enumerate(candidates):
            fresh = clone(estimator).set_params(**clone(parameters, safe=False))
            examples, target = fresh._prepared(*part, reset=True)
            recipe = fresh._recipe(len(examples), examples.shape[1:], fresh._seed())
            group = groups.setdefault(_shared(recipe, fresh.device), (examples, target, []))
            group[2].append((number, fresh, recipe))
        results = {}
        for examples, target, members in groups.values():
            begun = time.perf_counter()
            runs = self._runs(examples, target, members)
            fit_time = (time.perf_counter() - begun) / len(members)
            for (number, fresh, _), run in zip(members, runs):
                results[number] = self._scored(fresh, run, part, rest, scorer) | {"fit_time": fit_time}
        return results

    def _runs(self, examples, target, members):
        """A run of each member, or an error in its place."""
        texts = [json.dumps(recipe) for _, _, recipe in members]
        name, first = type(self).__name__, members[0][1]
        try:
            return train_side_by_side(texts, examples, target, device=first.device, origin=name, **first._names())
        except (FloatingPointError, ValueError) as error:
            if len(members) > 1:
                # One of several is to blame.
                return [self._runs(examples, target, [member])[0] for member in members]
            if self.error_score == "raise":
                raise
            return [error]

    def _scored(self, fresh, run, part, rest, scorer):
        n_test = len(rest[1])
        result = {"n_test_samples": n_test, "fit_error": None, "score_time": 0.0}
        diverged = isinstance(run, Exception) or not np.isfinite([run.history[-1]["train_loss"] or np.nan]).all()
        if diverged:
            if self.error_score == "raise":
                raise FloatingPointError("the loss of a candidate was not finite; lower learning_rate_init")
            warnings.warn(f"a candidate could not be trained: {run}", FitFailedWarning, stacklevel=2)
            scores = {"test_scores": self.error_score, "train_scores": self.error_score}
        else:
            fresh._adopt(run)
            begun = time.perf_counter()
            scores = {"test_scores": scorer(fresh, *rest)}
            result["score_time"] = time.perf_counter() - begun
            if self.return_train_score:
                scores["train_scores"] = scorer(fresh, *part)
        if not self.return_train_score:
            scores.pop("train_scores", None)
        return result | scores


def _shared(recipe, device):
    """What runs share that train side by side: all but their numbers."""
    recipe = json.loads(json.dumps(recipe))
    optimizer = recipe["optimizer"]
    for number in ("learning_rate", "beta1", "beta2", "epsilon"):
        optimizer.pop(number, None)
    for number in ("l2", "momentum"):
        optimizer[number] = optimizer.get(number, 0) != 0
    # The seed decides what is held out.
    if "validation" not in recipe["data"]:
        recipe.pop("seed")
    return json.dumps([recipe, device], sort_keys=True)
