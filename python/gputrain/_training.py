"""Training by a recipe, and trained models."""

import json
import os
import tomllib

import numpy as np

from . import _arrays, _native

_SOFTMAX, _BINARY = "softmax_cross_entropy", "binary_cross_entropy"


class Model:
    """A trained model with all that is needed to use it: weights, scaling, and the recipe it was trained with."""

    def __init__(self, native):
        self._native = native

    def outputs(self, X, device="auto"):
        """(N, outputs) in single precision: probabilities of the cross entropies, else the outputs themselves.

        ``X`` is (N, features), or of pictures (N, height, width) or (N, height, width, channels), in the range of the
        training data: the model scales it itself. ``device`` is ``"auto"``, ``"cpu"``, ``"vulkan"``, ``"metal"``, ``"dx12"``,
        ``"gl"`` or a part of a GPU's name. The columns of a DataFrame are found by the names of the training data's.
        """
        return self._native.outputs(_arrays.features(_arrays.in_order(X, self.feature_names)), device)

    def predict(self, X, device="auto"):
        """The class of each example, by its name if classes have names; bits of a binary loss; else the outputs."""
        outputs = self.outputs(X, device)
        if self.loss == _SOFTMAX:
            names = np.array(self.class_names, dtype=object)
            best = outputs.argmax(axis=1)
            return names[best] if len(names) else best
        if self.loss == _BINARY:
            bits = (outputs >= 0.5).astype(np.int64)
            return bits[:, 0] if bits.shape[1] == 1 else bits
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def predict_proba(self, X, device="auto"):
        """(N, classes): the probability of each class. A single binary output gives those of 0 and 1."""
        if self.loss not in (_SOFTMAX, _BINARY):
            raise ValueError(f"a model of the loss {self.loss} gives values, not probabilities")
        outputs = self.outputs(X, device)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def state_dict(self):
        """Weights and running statistics by PyTorch's names and in its layouts, as NumPy arrays."""
        return self._native.state_dict()

    def save(self, path):
        """Writes a .safetensors file, whole or not at all, that ``load`` and the program read."""
        self._native.save(os.fspath(path))

    def export(self, path):
        """Writes .onnx, .npz or .safetensors, by the file's name."""
        self._native.export(os.fspath(path))

    def summary(self):
        """The table of its layers."""
        return self._native.summary()

    @property
    def recipe(self):
        """The recipe that it was trained with, as a dict."""
        return tomllib.loads(self._native.recipe)

    @property
    def loss(self):
        """The word for its loss."""
        return self._native.loss

    @property
    def class_names(self):
        """The names of its classes; empty where they are called by their numbers."""
        return self._native.class_names

    @property
    def feature_names(self):
        """The names of its features; empty where they have none."""
        return self._native.feature_names

    @property
    def parameter_hash(self):
        """blake3 of all weights: two models with one hash are the same to the bit."""
        return self._native.parameter_hash

    def __repr__(self):
        return f"<gputrain.Model {self.recipe.get('name', '')!r}, {self._native.outputs_count} outputs, {self.parameter_hash[:12]}>"


class Run:
    """What came out of ``train``."""

    def __init__(self, model, history, summary, notes, moment=None):
        #: The trained model.
        self.model = model
        #: A dict for each epoch, as the lines of the program's ``metrics.jsonl``.
        self.history = history
        #: What the program writes to ``summary.json``.
        self.summary = summary
        #: What a person should know of how the data was read and scaled.
        self.notes = notes
        # Where the training ended, if it was asked for.
        self._moment = moment

    def __repr__(self):
        told = [f"{self.summary['epochs']} epochs, {self.summary['steps']} steps in {self.summary['seconds']:.1f} s"]
        for name in ("train", "validation", "test"):
            loss, accuracy = self.summary[f"{name}_loss"], self.summary[f"{name}_accuracy"]
            if loss is not None:
                told.append(f"{name} loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {100 * accuracy:.2f} %"))
        return f"<gputrain.Run {self.summary['name']!r}: {'; '.join(told)}>"

    def _repr_html_(self):
        from html import escape

        drawings = "".join(f"<div>{svg}</div>" for svg in _native.curves(json.dumps(self.history)))
        return f"<p>{escape(repr(self)[1:-1])}</p><div style='display:flex;flex-wrap:wrap'>{drawings}</div>"


def train(recipe, X=None, y=None, on_epoch=None, *, sample_weight=None, X_test=None, y_test=None, start=None, device="auto"):
    """Trains a network and returns a :class:`Run`.

    ``recipe`` is a dict with the keys of the program's recipes (docs/recipe.md), or the path of a TOML file, or the name of a
    bundled recipe. ``X`` and ``y`` take the place of the recipe's training files: (N, features) or pictures, bytes or
    floats; and N classes counted from 0, or (N, outputs) values. ``sample_weight`` is how much each example counts: the loss of a
    batch is ``sum(w * loss) / sum(w)``. ``X_test`` and ``y_test`` are measured at the end.
    ``on_epoch(metrics)`` is called after every epoch with a dict; what it raises ends the run. ``start`` is a :class:`Model`
    of the same network whose weights the run begins with. Ctrl-C raises ``KeyboardInterrupt``.

    Raises ``ValueError`` for what cannot be trained, ``OSError`` for files, ``FloatingPointError`` where the loss left the
    finite numbers, ``RuntimeError`` for a device that is not there or fails.
    """
    text, origin = recipe_text(recipe)
    call = None if on_epoch is None else lambda _, metrics: on_epoch(json.loads(metrics))
    start = None if start is None else [start]
    return train_side_by_side([text], X, y, call, sample_weight, X_test, y_test, start, device, origin)[0]


def train_side_by_side(texts, X, y, on_epoch=None, sample_weight=None, X_test=None, y_test=None, start=None, device="auto",
                       origin="recipe", **more):
    """Trains the models of recipes that differ in numbers alone on the same examples, and returns a :class:`Run` of each."""
    one = [[] if values is None else [values] for values in (X, y)]
    weights = None if sample_weight is None else _arrays.weights(sample_weight, X)
    return train_folds(texts, *one, on_epoch, weights, X_test, y_test, start, device, origin, **more)


def train_folds(
    texts, Xs, ys, on_epoch=None, weights=None, X_test=None, y_test=None, start=None, device="auto", origin="recipe",
    feature_names=None, class_names=(), moment=None, keeps_moment=False,
):
    """The same where the models take the folds ``Xs`` and ``ys``, of as many examples each, in turn."""
    loss = tomllib.loads(_native.resolve(texts[0], origin))["model"]["loss"]
    if feature_names is None:
        feature_names = _arrays.names(Xs[0]) if Xs else []
    features = lambda x: _arrays.features(_arrays.in_order(x, feature_names))
    results, notes = _native.train(
        recipes=texts, origin=origin, x=[features(x) for x in Xs], y=[_arrays.targets(t, loss) for t in ys],
        weights=weights, feature_names=list(feature_names), class_names=list(class_names),
        test_x=None if X_test is None else features(X_test), test_y=None if y_test is None else _arrays.targets(y_test, loss),
        start=None if start is None else [model._native for model in start], moment=moment, keeps_moment=keeps_moment,
        device=device, on_epoch=on_epoch,
    )
    return [
        Run(Model(model), json.loads(history), json.loads(summary), notes, ended) for model, history, summary, ended in results
    ]


def recipe_text(recipe):
    """A recipe as text that the native part reads, and what errors call it."""
    if isinstance(recipe, dict):
        return json.dumps(recipe, default=_plain), "recipe"
    name = os.fspath(recipe)
    return _native.find(name), name


def _plain(value):
    """What JSON does not know: NumPy's numbers and arrays, paths."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"the recipe holds {value!r}, a {type(value).__name__}, which no recipe can hold")


def load(path):
    """Opens a model that ``Model.save`` or the program wrote: a .safetensors file, or a run's folder."""
    return Model(_native.Model.load(os.fspath(path)))


def verify(device="auto", kernels=()):
    """Runs every kernel against its reference on a device and returns the report as a dict; ``kernels`` are parts of names.

    Raises ``RuntimeError`` if any is out of bounds.
    """
    report = json.loads(_native.verify(device, list(kernels)))
    broken = [row["kernel"] for row in report["rows"] if not row["passed"]]
    if broken:
        raise RuntimeError(f"out of bounds on {report['device']['device']}: {', '.join(broken)}")
    return report
