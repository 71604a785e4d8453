"""Searches whose candidates and folds train side by side."""

import json
import time

import joblib
import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV, check_cv
from sklearn.model_selection._validation import _insert_error_scores, _score, _warn_or_raise_about_fit_failures
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_method_params

from ._estimators import _Network
from ._training import train_folds

# Bytes of the folds' training examples that are held at once; beyond, folds train one after the other.
_MOST_BYTES = 256 << 20


class _SideBySide:
    """What the searches share; each says its ``_candidates``."""

    def fit(self, X, y, **params):
        """Trains and scores every candidate on every fold, then the best one on all examples.

        ``groups`` is for a ``cv`` that splits by groups. ``sample_weight`` is that of the network's ``fit``, of a pipeline by the
        network's name in it, such as ``mlpclassifier__sample_weight``. They come to what they come to in scikit-learn's searches.
        """
        estimator = self.estimator
        weight = _network_name(estimator) + "sample_weight"
        unknown = params.keys() - {"groups", weight}
        if unknown:
            raise TypeError(f"{self._name()}.fit takes X, y, groups and {weight}, not {min(unknown)}; use {self._theirs} for that")
        if params and get_config()["enable_metadata_routing"]:
            raise ValueError(f"{self._name()} routes no metadata; use {self._theirs}, or set_config(enable_metadata_routing=False)")
        params = _check_method_params(X, {name: value for name, value in params.items() if value is not None})
        routed = self._get_routed_params_for_fit(params)
        sample_weight, of_scores = params.get(weight), routed.scorer.score
        scorer, metric = self._get_scorers()
        splits = list(check_cv(self.cv, y, classifier=is_classifier(estimator)).split(X, y, **routed.splitter.split))
        candidates = list(self._candidates())
        done = {}
        for numbers in _at_once(splits, np.shape(X)[1:]):
            for trial in self._trials(candidates, {fold: _Fold(X, y, sample_weight, of_scores, *splits[fold]) for fold in numbers}):
                done[trial.candidate, trial.fold_number] = self._scored(trial, scorer)
        out = [done[candidate, fold] for candidate in range(len(candidates)) for fold in range(len(splits))]
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            # Whether it gives several scores is known only now.
            _insert_error_scores(out, self.error_score)
        self.multimetric_, self.n_splits_ = isinstance(out[0]["test_scores"], dict), len(splits)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(out[0]["test_scores"])
            metric = self.refit
        self.scorer_ = scorer._scorers if isinstance(scorer, _MultimetricScorer) else scorer
        self.cv_results_ = self._format_results(candidates, len(splits), out)
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, self.cv_results_)
            self.best_params_ = self.cv_results_["params"][self.best_index_]
            if not callable(self.refit):
                self.best_score_ = self.cv_results_[f"mean_test_{metric}"][self.best_index_]
        if self.refit:
            self.best_estimator_ = clone(estimator).set_params(**clone(self.best_params_, safe=False))
            begun = time.perf_counter()
            self.best_estimator_.fit(X, y, **routed.estimator.fit)
            self.refit_time_ = time.perf_counter() - begun
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        return self

    def _trials(self, candidates, folds):
        """Trains every candidate on these folds."""
        trials, groups = [], {}
        for fold_number, fold in folds.items():
            for candidate, parameters in enumerate(candidates):
                trial = _Trial(candidate, fold_number, fold)
                trials.append(trial)
                try:
                    key = trial.prepare(clone(self.estimator).set_params(**clone(parameters, safe=False)))
                except Exception as error:
                    trial.run = error
                else:
                    groups.setdefault(key, {}).setdefault(fold_number, []).append(trial)
        for group in groups.values():
            # Side by side train the folds that have the same candidates.
            alike = {}
            for of_fold in group.values():
                alike.setdefault(tuple(trial.candidate for trial in of_fold), []).append(of_fold)
            for by_fold in alike.values():
                self._train(list(zip(*by_fold)))
        return trials

    def _train(self, rows):
        """Trains trials side by side: a row for each candidate, with a trial of each fold. Of a trial that cannot be trained the
        error takes the place of the run."""
        trials = [trial for row in rows for trial in row]
        texts = [json.dumps(trial.recipe) for trial in trials]
        examples, targets = [trial.examples for trial in rows[0]], [trial.target for trial in rows[0]]
        weights = [weights for trial in rows[0] for weights in trial.weights]
        first, begun = trials[0].network, time.perf_counter()
        try:
            runs = train_folds(
                texts, examples, targets, weights=weights, device=first.device, origin=type(self).__name__, **first._names(),
            )
        except (ArithmeticError, MemoryError, ValueError) as error:
            if len(trials) > 1:
                # They are too many, or one of them is to blame.
                middle = len(rows) // 2
                parts = [rows[:middle], rows[middle:]] if middle else [[(trial,)] for trial in rows[0]]
                for part in parts:
                    self._train(part)
                return
            runs = [error]
        fit_time = (time.perf_counter() - begun) / len(trials)
        for trial, run in zip(trials, runs):
            trial.run, trial.fit_time = run, fit_time

    def _scored(self, trial, scorer):
        """The result of a trial, as scikit-learn's ``_fit_and_score`` gives it."""
        part, rest = trial.fold.part, trial.fold.rest
        result = {"n_test_samples": len(rest[1]), "fit_error": None, "fit_time": trial.fit_time, "score_time": 0.0}
        run = trial.alone()
        if isinstance(run, Exception) and self.error_score == "raise":
            raise run
        if isinstance(run, Exception):
            several = isinstance(scorer, _MultimetricScorer)
            none = {name: self.error_score for name in scorer._scorers} if several else self.error_score
            scores = {"test_scores": none, "train_scores": none}
            result["fit_error"] = f"{type(run).__name__}: {run}"
        else:
            trial.network._adopt(run)
            begun = time.perf_counter()
            scores = {"test_scores": _score(trial.fitted, *rest, scorer, trial.fold.of_rest, self.error_score)}
            result["score_time"] = time.perf_counter() - begun
            if self.return_train_score:
                scores["train_scores"] = _score(trial.fitted, *part, scorer, trial.fold.of_part, self.error_score)
        if not self.return_train_score:
            scores.pop("train_scores", None)
        return result | scores

    def _name(self):
        return type(self).__name__


class SearchCV(_SideBySide, GridSearchCV):
    """scikit-learn's ``GridSearchCV`` over an estimator of gputrain, or a pipeline that ends with one: all candidates of one
    architecture train side by side on all folds.

    ``fit`` gives each candidate the weights and so the scores that ``GridSearchCV`` gives it. What stands before the network in
    a pipeline is fitted to the training rows of each fold; steps with equal parameters are fitted once. Folds whose training
    rows differ in number train in another launch, and the folds train one after the other where their training rows, in single
    precision, take more than 256 MiB together. The parameters are ``GridSearchCV``'s; ``n_jobs``,
    ``pre_dispatch`` and ``verbose`` mean nothing here.
    """

    _theirs = "GridSearchCV"

    def _candidates(self):
        return ParameterGrid(self.param_grid)


class RandomSearchCV(_SideBySide, RandomizedSearchCV):
    """scikit-learn's ``RandomizedSearchCV`` as :class:`SearchCV` is its ``GridSearchCV``: it draws the same candidates, and trains them
    side by side."""

    _theirs = "RandomizedSearchCV"

    def _candidates(self):
        return ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)


class _Fold:
    """A fold's rows to train on and to score with, the weights to train with, and what else the scorer takes."""

    def __init__(self, X, y, sample_weight, of_scores, rows, held_out):
        self.part = [_safe_indexing(values, rows) for values in (X, y)]
        self.rest = [_safe_indexing(values, held_out) for values in (X, y)]
        self.sample_weight = None if sample_weight is None else _safe_indexing(sample_weight, rows)
        self.of_part, self.of_rest = [_check_method_params(X, of_scores, indices) for indices in (rows, held_out)]
        self._fitted = {}

    def through(self, key, steps):
        """Steps of a pipeline, fitted to the training rows, and those rows as they leave them. Equal steps have an equal key."""
        if key not in self._fitted:
            self._fitted[key] = steps, steps.fit_transform(*self.part)
        return self._fitted[key]


class _Trial:
    """A candidate on a fold: what it trains on, and then what came of it."""

    def __init__(self, candidate, fold_number, fold):
        self.candidate, self.fold_number, self.fold = candidate, fold_number, fold
        self.recipe, self.weights, self.run, self.fit_time = None, [], None, 0.0

    def prepare(self, fresh):
        """Takes an estimator that is not fitted yet. What it has in common with those that train side by side with it."""
        self.fitted, self.network = fresh, _network(fresh)
        X, y = self.fold.part
        before = None
        if isinstance(fresh, Pipeline) and len(fresh) > 1:
            before = joblib.hash(fresh[:-1])
            fitted, X = self.fold.through(before, fresh[:-1])
            fresh.steps = [*fitted.steps, fresh.steps[-1]]
        self.examples, self.target = self.network._prepared(X, y, reset=True)
        self.weights = self.network._weights(self.fold.sample_weight, self.examples)
        self.recipe = self.network._recipe(len(self.examples), self.examples.shape[1:], self.network._seed())
        examples = [before, len(self.examples), str(self.examples.dtype)]
        return json.dumps([_shared(self.recipe), examples, self.network.device, self.network._names()])

    def alone(self):
        """Its run as it would be alone, or the error."""
        run = self.run
        if isinstance(run, Exception):
            return run
        # Others go on where the loss of one is not finite, which is written as null.
        if any(epoch["train_loss"] is None for epoch in run.history):
            return FloatingPointError("the loss of a candidate was not finite; lower learning_rate_init")
        return run


def _network(estimator):
    """The estimator of gputrain that it is or ends with."""
    network = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(network, _Network):
        raise ValueError(
            f"this search takes an estimator of gputrain, or a pipeline that ends with one, not {type(network).__name__}; use "
            "scikit-learn's GridSearchCV or RandomizedSearchCV for others"
        )
    return network


def _network_name(estimator):
    """What the names of the network's parameters begin with; nothing where it stands alone."""
    _network(estimator)
    return f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""


def _at_once(splits, shape):
    """The numbers of the folds, those that are held at once together."""
    largest = max(len(rows) for rows, _ in splits)
    count = max(1, _MOST_BYTES // max(1, 4 * largest * int(np.prod(shape, dtype=np.int64))))
    return [range(first, min(first + count, len(splits))) for first in range(0, len(splits), count)]


def _shared(recipe):
    """What runs share that train side by side: all but their numbers."""
    recipe = json.loads(json.dumps(recipe))
    optimizer = recipe["optimizer"]
    for number in ("learning_rate", "beta1", "beta2", "epsilon"):
        optimizer.pop(number, None)
    for number in ("l2", "momentum"):
        optimizer[number] = optimizer.get(number, 0) != 0
    # Rates of epochs are numbers, too.
    recipe.pop("schedule")
    # The seed decides what is held out.
    if "validation" not in recipe["data"]:
        recipe.pop("seed")
    return recipe
