"""Estimators by scikit-learn's rules."""

import json
import math
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ._arrays import weights
from ._training import Model, train_folds
from ._watch import FitWatch

_COUNT = Interval(Integral, 1, None, closed="left")
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


class _Network(BaseEstimator):
    """What the estimators share: parameters by the names of scikit-learn's MLPs, and training."""

    # What scikit-learn's own check of parameters goes by.
    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", _COUNT],
        "activation": [str],
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [_COUNT],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [_COUNT, Options(Real, {np.inf}), None],
        "max_fun": [_COUNT],
        "device": [str],
        "precision": [StrOptions({"f32", "mixed"})],
    }

    def _more_layers(self):
        """Layers before the dense ones."""
        return []

    def _recipe(self, count, input_shape, seed):
        """The recipe as a dict, for so many examples of such a shape."""
        self._validate_params()
        self._refuse()
        activation = _ACTIVATIONS.get(self.activation, self.activation)
        batch = min(200, count) if self.batch_size == "auto" else min(self.batch_size, count)
        widths = _counts("hidden_layer_sizes", self.hidden_layer_sizes)
        layers = self._more_layers() + [{"dense": width, "activation": activation} for width in widths]
        last = {"dense": self.n_outputs_}
        if self._loss() == "binary_cross_entropy":
            last["activation"] = "sigmoid"
        optimizer = {
            "kind": self.solver,
            "learning_rate": float(self.learning_rate_init),
            # scikit-learn's alpha / 2 times the squares, of which each batch has its share.
            "l2": self.alpha / 2 / batch,
        }
        if self.solver == "sgd":
            optimizer |= {"momentum": float(self.momentum), "nesterov": bool(self.nesterovs_momentum) and self.momentum > 0}
        else:
            optimizer |= {"beta1": float(self.beta_1), "beta2": float(self.beta_2), "epsilon": float(self.epsilon)}
        data = {"scale": self._scale}
        if self.early_stopping:
            data |= {"validation": float(self.validation_fraction)} | ({"stratify": True} if self._strata else {})
            # As many as the native part holds out.
            count -= math.floor(self.validation_fraction * count + 0.5)
        train = {"epochs": int(self.max_iter), "batch": int(batch), "shuffle": bool(self.shuffle), "checkpoint_every": 0}
        if self.n_iter_no_change is not None and math.isfinite(self.n_iter_no_change):
            # scikit-learn waits for more epochs than it says, and goes back to the best weights only where examples are held out.
            train["early_stop"] = {
                "metric": self._watched() if self.early_stopping else "train_loss", "patience": int(self.n_iter_no_change) + 1,
                "min_delta": float(self.tol), "cumulative": False, "restore_best": bool(self.early_stopping),
            }
            if self._schedule() == "adaptive":
                train["early_stop"] |= {"slow_down": 0.2, "min_lr": 1e-6}
        self._trained = count
        schedule = {"kind": "constant"}
        if self._schedule() == "invscaling":
            rates = [self._scaled_rate(epoch * count) for epoch in range(train["epochs"])]
            schedule = [{"epochs": 1, "learning_rate": rate} for rate in rates]
        return {
            "name": type(self).__name__,
            "seed": int(seed),
            "precision": self.precision,
            "data": data,
            "model": {"input": list(input_shape) + [1] * (len(input_shape) == 2), "layers": layers + [last], "loss": self._loss()},
            "optimizer": optimizer,
            "schedule": schedule,
            "train": train,
        }

    def _refuse(self):
        """Refuses what scikit-learn's have and these do not."""
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' searches along lines over all examples at once, which is not there; use solver='adam', or "
                "scikit-learn's estimator for small data"
            )

    def _schedule(self):
        """How the rate changes: a matter of solver='sgd', as with scikit-learn's."""
        return self.learning_rate if self.solver == "sgd" else "constant"

    def _scaled_rate(self, seen):
        """The rate of learning_rate='invscaling' after so many examples."""
        rate = self.learning_rate_init / (seen + 1) ** float(self.power_t)
        return max(rate, float(np.finfo(np.float32).tiny))

    def _seed(self):
        return check_random_state(self.random_state).randint(np.iinfo(np.int32).max)

    def _train(self, X, target, sample_weight=None, start=None):
        """Trains from new weights, or from those of ``start``."""
        self._drawn_seed = self._seed()
        recipe = self._recipe(len(X), X.shape[1:], self._drawn_seed)
        return self._adopt(self._run(recipe, X, target, sample_weight, start=None if start is None else [start]))

    def _train_further(self, X, target, sample_weight=None):
        """Trains one epoch from where the last call ended, if there was one: with its weights and the optimizer's averages."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; use fit, or early_stopping=False")
        if self._schedule() == "adaptive":
            raise ValueError(
                "partial_fit does not follow the loss from call to call, by which learning_rate='adaptive' goes; use fit, or another "
                "learning_rate"
            )
        moment = getattr(self, "_moment", None)
        if moment is None:
            self._drawn_seed = self._seed()
        recipe = self._recipe(len(X), X.shape[1:], self._drawn_seed)
        # The epochs of the calls are counted through, so that each has an order of its own.
        recipe["train"]["epochs"] = 1 if moment is None else moment.epochs + 1
        recipe["train"].pop("early_stop", None)
        if self._schedule() == "invscaling":
            rate = self._scaled_rate(0 if moment is None else self.t_)
            recipe["schedule"] = [{"epochs": recipe["train"]["epochs"], "learning_rate": rate}]
        run = self._run(recipe, X, target, sample_weight, moment=moment)
        return self._adopt(run) if moment is None else self._add(run)

    def _run(self, recipe, X, target, sample_weight, **begin):
        return train_folds(
            [json.dumps(recipe)], [X], [target], FitWatch(self._validation_score) if self.verbose else None,
            self._weights(sample_weight, X), device=self.device, origin=type(self).__name__, keeps_moment=True, **begin,
            **self._names(),
        )[0]

    @staticmethod
    def _weights(sample_weight, X):
        """The weights of the examples as those of a fold, if there are any."""
        if sample_weight is None:
            return []
        return [weights(_check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True), X)]

    def _names(self):
        """What the columns and classes that were fitted are called, for whoever reads the model alone."""
        classes = getattr(self, "classes_", ())
        are_text = len(classes) > 0 and all(isinstance(name, str) for name in classes)
        return {
            "feature_names": [str(name) for name in getattr(self, "feature_names_in_", ())],
            "class_names": [str(name) for name in classes] if are_text else [],
        }

    def _adopt(self, run):
        """Takes over what a run came to."""
        self.loss_curve_, self.validation_scores_, self.t_ = [], None, 0
        return self._add(run)

    def _add(self, run):
        """Takes over what a run came to that went on from the last one."""
        self.run_ = run
        self.model_ = run.model
        # A moment is for the calls that go on from it; a run alone does not need it.
        self._moment, run._moment = run._moment, None
        self.loss_curve_ += [epoch["train_loss"] for epoch in run.history]
        self.loss_ = self.loss_curve_[-1]
        scores = [score for score in map(self._validation_score, run.history) if score is not None]
        self.validation_scores_ = (self.validation_scores_ or []) + scores or None
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        # What is watched is the one or the other.
        self.best_loss_ = None if self.validation_scores_ else min(self.loss_curve_)
        self.n_iter_ = len(self.loss_curve_)
        self.t_ += self._trained * len(run.history)
        tensors = run.model.state_dict()
        self.coefs_ = [w.T for name, w in tensors.items() if name.endswith(".weight") and w.ndim == 2]
        self.intercepts_ = [b for name, b in tensors.items() if name.endswith(".bias")]
        self.n_layers_ = len(self.coefs_) + 1
        return self

    def fit(self, X, y, sample_weight=None):
        """Trains from new weights, or with ``warm_start`` from those of the last fit; the optimizer's averages begin anew, as
        scikit-learn's do.

        ``sample_weight`` is how much each example counts: the loss of a batch is ``sum(w * loss) / sum(w)``.
        """
        start = getattr(self, "model_", None) if self.warm_start else None
        X, target = self._prepared(X, y, reset=True)
        self._train(X, target, sample_weight, start=start)
        if self.n_iter_ == self.max_iter and self.n_iter_no_change is not None and not self.run_._has_stopped:
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet.", ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _outputs(self, X):
        check_is_fitted(self)
        return self.model_.outputs(self._examples(X, reset=False), self.device)

    def _examples(self, X, reset):
        return validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Weights are drawn at random, and batches mixed; a random_state makes them the same.
        tags.non_deterministic = False
        return tags


def _counts(name, values):
    """Sizes as a list of whole numbers."""
    counts = np.atleast_1d(values)
    if counts.size == 0:
        return []
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ValueError(f"{name} must be whole numbers, got {values}")
    if (counts <= 0).any():
        raise ValueError(f"{name} must be > 0, got {values}")
    return counts.tolist()


class _MLP(_Network):
    """Fully connected networks."""

    _scale = "none"

    def __init__(
        self, hidden_layer_sizes=(100,), activation="relu", *, solver="adam", alpha=0.0001, batch_size="auto",
        learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200, shuffle=True, random_state=None, tol=1e-4,
        verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1,
        beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_iter_no_change=10, max_fun=15000, device="auto", precision="f32",
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.device = device
        self.precision = precision


class _Classifier(ClassifierMixin):
    """Classes, or several bits of which each may be set."""

    def _loss(self):
        return "binary_cross_entropy" if self._bits else "softmax_cross_entropy"

    def _watched(self):
        return "validation_subset_accuracy" if self._bits else "validation_accuracy"

    def _validation_score(self, epoch):
        # scikit-learn's of bits is the share of rows without a mistake.
        if self._bits:
            return epoch.get("metrics", {}).get("validation", {}).get("subset_accuracy")
        return epoch["validation_accuracy"]

    @property
    def _strata(self):
        return not self._bits

    def _prepared(self, X, y, reset, classes=None):
        X, y = self._checked(X, y, reset)
        check_classification_targets(y)
        self._bits = type_of_target(y).startswith("multilabel")
        self.out_activation_ = "logistic" if self._bits else "softmax"
        if self._bits:
            self.classes_ = np.arange(y.shape[1])
            self.n_outputs_ = y.shape[1]
            return X, np.asarray(y, dtype=np.float32)
        if y.ndim == 2:
            from sklearn.utils import column_or_1d

            y = column_or_1d(y, warn=True)
        known = np.unique(y)
        self.classes_ = known if classes is None else np.unique(classes)
        if not np.isin(known, self.classes_).all():
            raise ValueError(f"y holds classes {known} that are not among {self.classes_}")
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class alone, {self.classes_[0]!r}; a classifier needs two classes or more")
        self.n_outputs_ = len(self.classes_)
        return X, np.searchsorted(self.classes_, y).astype(np.uint32)

    def _checked(self, X, y, reset):
        return validate_data(self, X, y, reset=reset, dtype=[np.float64, np.float32], multi_output=True)

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """One epoch over these examples, from where the last call of ``partial_fit`` or ``fit`` ended: with its weights and the
        optimizer's averages. So several calls over the same examples come to what a ``fit`` of as many epochs comes to.

        ``classes`` names all classes at the first call; ``sample_weight`` is that of ``fit``.
        """
        first = getattr(self, "_moment", None) is None
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if not first and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes={classes} are not those of the first call to partial_fit, {self.classes_}")
        X, target = self._prepared(X, y, reset=first, classes=self.classes_ if not first else classes)
        return self._train_further(X, target, sample_weight)

    def predict_proba(self, X):
        """(N, classes): the probability of each class, or of each bit."""
        return self._outputs(X).astype(np.float64)

    def predict_log_proba(self, X):
        """The logarithm of ``predict_proba``."""
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float32).tiny))

    def predict(self, X):
        """The class of each example, or its bits."""
        outputs = self._outputs(X)
        return (outputs >= 0.5).astype(np.int64) if self._bits else self.classes_[outputs.argmax(axis=1)]


class MLPClassifier(_Classifier, _MLP):
    """A fully connected network that names classes: scikit-learn's ``MLPClassifier`` on any GPU.

    Parameters have the names, meanings and defaults that scikit-learn's have, but for the solver ``"lbfgs"``, which is refused, and
    ``max_fun`` with it means nothing. ``device`` is ``"auto"``, ``"cpu"``, ``"vulkan"`` or a part of a GPU's name, ``precision`` is
    ``"f32"`` or ``"mixed"``. Training stops by scikit-learn's rule: when more than ``n_iter_no_change`` epochs one after the other were
    not better by ``tol`` than the best before them, in training loss or, with ``early_stopping``, in the score of what is held out,
    whose best weights are then kept; with ``learning_rate="adaptive"`` the rate is divided by 5 first, until it is 1e-6. With
    ``n_iter_no_change=None`` it does not stop. A ``ConvergenceWarning`` tells that ``max_iter`` epochs ended before that. Features are
    taken as they are: scale them, as with scikit-learn's own.

    With ``early_stopping``, ``validation_scores_`` are the accuracies (of ``MLPRegressor``: R2) on what is held out,
    ``best_validation_score_`` is the best of them, and ``best_loss_`` is None.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MLP):
    """A fully connected network that gives values: scikit-learn's ``MLPRegressor`` on any GPU. See :class:`MLPClassifier`.

    Of the losses, ``"poisson"`` is refused. ``hidden_layer_sizes`` comes first.
    """

    _parameter_constraints = _Network._parameter_constraints | {"loss": [StrOptions({"squared_error", "poisson"})]}
    _strata = False
    out_activation_ = "identity"

    def __init__(
        self, hidden_layer_sizes=(100,), activation="relu", *, loss="squared_error", solver="adam", alpha=0.0001, batch_size="auto",
        learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=200, shuffle=True, random_state=None, tol=1e-4,
        verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1,
        beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_iter_no_change=10, max_fun=15000, device="auto", precision="f32",
    ):
        super().__init__(
            hidden_layer_sizes, activation, solver=solver, alpha=alpha, batch_size=batch_size, learning_rate=learning_rate,
            learning_rate_init=learning_rate_init, power_t=power_t, max_iter=max_iter, shuffle=shuffle, random_state=random_state,
            tol=tol, verbose=verbose, warm_start=warm_start, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping, validation_fraction=validation_fraction, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon,
            n_iter_no_change=n_iter_no_change, max_fun=max_fun, device=device, precision=precision,
        )
        self.loss = loss

    def _refuse(self):
        super()._refuse()
        if self.loss == "poisson":
            raise ValueError(
                "loss='poisson' is not there; use loss='squared_error', such as on the logarithm of 1 + y, or scikit-learn's MLPRegressor"
            )

    def _loss(self):
        return "half_mse"

    def _watched(self):
        return "validation_r2"

    def _validation_score(self, epoch):
        return epoch.get("metrics", {}).get("validation", {}).get("r2")

    def _prepared(self, X, y, reset):
        X, y = validate_data(
            self, X, y, reset=reset, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True
        )
        if y.ndim == 2 and y.shape[1] == 1:
            from sklearn.utils import column_or_1d

            y = column_or_1d(y, warn=True)
        self._is_flat = y.ndim == 1
        target = np.asarray(y, dtype=np.float32).reshape(len(y), -1)
        self.n_outputs_ = target.shape[1]
        return X, target

    def partial_fit(self, X, y, sample_weight=None):
        """One epoch over these examples, from where the last call of ``partial_fit`` or ``fit`` ended: with its weights and the
        optimizer's averages. So several calls over the same examples come to what a ``fit`` of as many epochs comes to.

        ``sample_weight`` is that of ``fit``.
        """
        X, target = self._prepared(X, y, reset=getattr(self, "_moment", None) is None)
        return self._train_further(X, target, sample_weight)

    def predict(self, X):
        """The values of each example."""
        outputs = self._outputs(X).astype(np.float64)
        return outputs[:, 0] if self._is_flat else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class ConvClassifier(_Classifier, _Network):
    """A convolutional network that names what is on pictures.

    ``X`` is (N, height, width) or (N, height, width, channels), or (N, pixels) of square pictures in grey. Bytes are divided
    by 255; floats are taken as they are. ``channels`` are the filters of the convolutions, each of ``kernel_size`` pixels and
    followed by a pool of 2; all else is as in :class:`MLPClassifier`.
    """

    _parameter_constraints = _Network._parameter_constraints | {"channels": ["array-like", _COUNT], "kernel_size": [_COUNT]}

    def __init__(
        self, channels=(16, 32), kernel_size=3, hidden_layer_sizes=(64,), activation="relu", *, solver="adam", alpha=0.0001,
        batch_size="auto", learning_rate="constant", learning_rate_init=0.001, power_t=0.5, max_iter=20, shuffle=True, random_state=None,
        tol=1e-4, verbose=False, warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=False,
        validation_fraction=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8, n_iter_no_change=10, max_fun=15000, device="auto",
        precision="f32",
    ):
        self.channels = channels
        self.kernel_size = kernel_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.device = device
        self.precision = precision

    @property
    def _scale(self):
        return "unit" if self._has_bytes else "none"

    def _more_layers(self):
        activation = _ACTIVATIONS.get(self.activation, self.activation)
        layers = []
        for count in _counts("channels", self.channels):
            conv = {"conv2d": count, "kernel": int(self.kernel_size), "padding": "same", "activation": activation}
            layers += [conv, {"max_pool": 2}]
        return layers + [{"flatten": True}]

    def _checked(self, X, y, reset):
        X = self._pictures(X)
        self._has_bytes = X.dtype == np.uint8
        dtype = np.uint8 if self._has_bytes else [np.float64, np.float32]
        return validate_data(self, X, y, reset=reset, dtype=dtype, multi_output=True, allow_nd=True)

    def _examples(self, X, reset):
        X = self._pictures(X)
        if (X.dtype == np.uint8) != self._has_bytes:
            trained = "bytes" if self._has_bytes else "floats"
            raise ValueError(f"X holds {X.dtype}, and the network was trained on {trained}; give it the same")
        dtype = np.uint8 if self._has_bytes else [np.float64, np.float32]
        X = validate_data(self, X, reset=reset, dtype=dtype, allow_nd=True)
        expected = tuple(self.model_.recipe["model"]["input"])
        if (X.shape[1:] + (1,))[:3] != expected:
            raise ValueError(f"X has pictures of {X.shape[1:]}, and the network was trained on {expected}")
        return X

    @staticmethod
    def _pictures(X):
        X = np.asarray(X)
        if X.ndim == 2:
            side = math.isqrt(X.shape[1])
            if side * side != X.shape[1]:
                raise ValueError(f"X has rows of {X.shape[1]} pixels, which are no square; reshape it to (N, height, width)")
            X = X.reshape(len(X), side, side)
        return X


__all__ = ["ConvClassifier", "MLPClassifier", "MLPRegressor", "Model"]
