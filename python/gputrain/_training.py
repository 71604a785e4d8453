"""Training by a recipe, and trained models."""

import json
import os
import tempfile
import tomllib
import warnings

import numpy as np

from . import _arrays, _native
from ._watch import WARNING, TrainWatch, scores_in_words

_SOFTMAX, _BINARY = "softmax_cross_entropy", "binary_cross_entropy"


class Model:
    """A trained model with all that is needed to use it: weights, scaling, and the recipe it was trained with."""

    def __init__(self, native):
        self._native = native

    def outputs(self, X, device="auto"):
        """(N, outputs) in single precision: probabilities of the cross entropies, else the outputs themselves.

        ``X`` is (N, features), or of pictures (N, height, width) or (N, height, width, channels), in the range of the
        training data: the model scales it itself. ``device`` is ``"auto"``, ``"cpu"``, ``"vulkan"``, ``"metal"``, ``"dx12"``,
        ``"gl"`` or a part of a GPU's name. The columns of a DataFrame are found by the names of the training data's. A model that was
        trained on a table takes a DataFrame with that table's columns, text and gaps included, and gives values in its units.
        """
        if self._native.reads_tables:
            return self._of_frame(X, device)
        return self._native.outputs(_arrays.features(_arrays.in_order(X, self.feature_names)), device)

    def _of_frame(self, X, device):
        if not hasattr(X, "to_csv"):
            raise ValueError("the model was trained on a table: give X as a DataFrame with its columns")
        # As text it is read by what the model knows of each column.
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "X.csv")
            X.to_csv(path, index=False)
            return self._native.table_outputs(path, device)

    def predict(self, X, device="auto"):
        """The class of each example, by its name if classes have names; bits of a binary loss; else the outputs."""
        outputs, names = self.outputs(X, device), np.array(self.class_names, dtype=object)
        if self.loss == _SOFTMAX:
            best = outputs.argmax(axis=1)
            return names[best] if len(names) else best
        if self.loss == _BINARY:
            bits = (outputs >= 0.5).astype(np.int64)
            if bits.shape[1] > 1:
                return bits
            return names[bits[:, 0]] if len(names) else bits[:, 0]
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

    def __init__(self, model, history, steps, summary, weights, notes, has_stopped=False, moment=None):
        #: The trained model.
        self.model = model
        #: A dict for each epoch, as the lines of the program's ``metrics.jsonl``.
        self.history = history
        #: A dict for each logged step (``train.log_every``), as the lines of the program's ``steps.jsonl``.
        self.steps = steps
        #: What the program writes to ``summary.json``.
        self.summary = summary
        #: State dicts of the initial weights and of those after every epoch, where ``train.record`` names ``"weights"``.
        self.weights = weights
        #: What a person should know of how the data was read and scaled. Those that begin with "warning: " are warned of, too.
        self.notes = notes
        # Whether it stopped early.
        self._has_stopped = has_stopped
        # Where the training ended, if it was asked for.
        self._moment = moment

    def __repr__(self):
        summary = self.summary
        took = f"{summary['epochs']} epochs, {summary['steps']} steps in {summary['seconds']:.1f} s"
        warned = [note for note in self.notes if note.startswith(WARNING)]
        return f"<gputrain.Run {summary['name']!r}: {'; '.join([took, scores_in_words(summary), *warned])}>"

    def _repr_html_(self):
        from html import escape

        drawings = "".join(f"<div>{svg}</div>" for svg in _native.curves(json.dumps(self.history)))
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes if not note.startswith(WARNING))
        return f"<p>{escape(repr(self)[1:-1])}</p><div style='display:flex;flex-wrap:wrap'>{drawings}</div><ul>{notes}</ul>"


def train(
    recipe, X=None, y=None, on_epoch=None, *, sample_weight=None, X_test=None, y_test=None, start=None, device="auto", data=None,
    verbose=False,
):
    """Trains a network and returns a :class:`Run`.

    ``recipe`` is a dict with the keys of the program's recipes (docs/recipe.md), or the path of a TOML file, or the name of a
    bundled recipe. ``X`` and ``y`` take the place of all files of the recipe: (N, features) or pictures, bytes or
    floats; and N classes counted from 0, or (N, outputs) values; ``data.targets = "inputs"`` needs no ``y``. ``sample_weight`` is how
    much each example counts: the loss of a batch is ``sum(w * loss) / sum(w)``. ``X_test`` and ``y_test``, in place of the recipe's
    test set, are measured at the end. ``data`` is a folder in which the recipe's files are looked for first.

    Where the recipe says no ``data.scale``, rows that can be no pixels (numbers below 0, with fractions beyond 1, or beyond 255)
    take the scale ``"standard"``, as columns of tables do; all else is taken for pixels, the scale ``"unit"``.

    ``on_epoch(metrics)`` is called after every epoch with a dict; what it raises ends the run. ``verbose`` writes a line that says how
    far training is, over and over. ``start`` is a :class:`Model` of the same network whose weights the run begins with. Ctrl-C raises
    ``KeyboardInterrupt``.

    Warns with ``UserWarning`` of what a person should mend, before training begins; ``Run.notes`` keeps it. Raises ``ValueError`` for
    what cannot be trained, ``OSError`` for files (``FileNotFoundError`` where there is none), ``FloatingPointError`` where the loss
    left the finite numbers, ``RuntimeError`` for a device that is not there or fails.
    """
    if data is not None and X is not None:
        raise ValueError("data is the folder of the recipe's files, whose place X and y take; leave one out")
    recipe, origin = _as_dict(recipe, data)
    if "sweep" in recipe:
        warnings.warn("train leaves the recipe's sweep aside; the program's `gputrain sweep` trains it", UserWarning, stacklevel=2)
    if X is not None:
        _leave_files_out(recipe, X_test is not None)
        _standardize_measurements(recipe, X)
    y, y_test = _with_targets(recipe, X, y, "X and y"), _with_targets(recipe, X_test, y_test, "X_test and y_test")
    watch = TrainWatch(on_epoch, verbose)
    weights = [] if sample_weight is None else [_arrays.weights(sample_weight, X)]
    Xs, ys = ([], []) if X is None else ([X], [y])
    start = None if start is None else [start]
    try:
        return train_folds([json.dumps(recipe)], Xs, ys, watch, weights, X_test, y_test, start, device, origin, data=data)[0]
    finally:
        watch.end()


def train_folds(
    texts, Xs, ys, watch=None, weights=(), X_test=None, y_test=None, start=None, device="auto", origin="recipe",
    feature_names=None, class_names=(), moment=None, keeps_moment=False, data=None,
):
    """Trains the models of recipes that differ in numbers alone, side by side, and returns a :class:`Run` of each. They take the folds
    ``Xs`` and ``ys``, of as many examples each, and ``weights`` if there are any, in turn."""
    loss = tomllib.loads(_native.resolve(texts[0], origin))["model"]["loss"]
    if feature_names is None:
        feature_names = _arrays.names(Xs[0]) if Xs else []
    folds = [_arrays.examples(X, y, loss, feature_names) for X, y in zip(Xs, ys, strict=True)]
    test_x, test_y = None, None
    if X_test is not None:
        test_x, test_y = _arrays.examples(X_test, y_test, loss, feature_names, ("X_test", "y_test"))
    results, notes = _native.train(
        recipes=texts, origin=origin, x=[X for X, _ in folds], y=[y for _, y in folds], weights=list(weights),
        feature_names=list(feature_names), class_names=list(class_names), test_x=test_x, test_y=test_y,
        start=None if start is None else [model._native for model in start], moment=moment, keeps_moment=keeps_moment,
        device=device, data=None if data is None else os.fspath(data), watch=watch,
    )
    return [
        Run(Model(model), json.loads(history), json.loads(steps), json.loads(summary), weights, notes, has_stopped, ended)
        for model, history, steps, summary, weights, has_stopped, ended in results
    ]


def recipe(name):
    """The recipe of a TOML file, or a bundled one by its name, as a dict to change and to give to :func:`train`."""
    return _as_dict(name)[0]


def _as_dict(recipe, data=None):
    """A recipe as a dict of what JSON knows, and what errors call it."""
    if isinstance(recipe, dict):
        return _plain(recipe), "recipe"
    name = os.fspath(recipe)
    text, says_scale = _native.find(name, None if data is None else os.fspath(data))
    found = tomllib.loads(text)
    if not says_scale:
        del found["data"]["scale"]
    return found, name


def _of_data(recipe):
    data = recipe.get("data")
    # Of anything else the native part says that it is wrong.
    return data if isinstance(data, dict) else {}


def _leave_files_out(recipe, has_test):
    """Leaves out the recipe's files, whose place arrays take; numbers of examples are held out of the arrays."""
    data = _of_data(recipe)
    data.pop("train", None)
    for held_out in ("test", "validation"):
        if isinstance(data.get(held_out), dict) or held_out == "test" and has_test:
            data.pop(held_out, None)


def _standardize_measurements(recipe, X):
    """Lets a recipe that says no scale, and does nothing that is done to pixels, standardize rows that can be no pixels."""
    data = _of_data(recipe)
    if not {"scale", "normalize"} & data.keys() and "augment" not in recipe and _arrays.are_no_pixels(X):
        recipe["data"] = data | {"scale": "standard"}


def _with_targets(recipe, X, y, names):
    """The targets of examples: none that count where the recipe makes them of the inputs."""
    if X is not None and y is None and _of_data(recipe).get("targets") == "inputs":
        return np.zeros(len(X), dtype=int)
    if (X is None) != (y is None):
        raise ValueError(f"give both {names}, or neither")
    return y


def _plain(value, key="recipe"):
    """A value of a recipe as JSON knows it: without NumPy's numbers and arrays, and without paths. ``key`` is where it stands."""
    if isinstance(value, dict):
        return {name: _plain(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(inner, f"{key}.{index}") for index, inner in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (str, bool, int, float)):
        return value
    remedy = "; leave the key out" if value is None else ""
    raise TypeError(f"{key} is {value!r}, a {type(value).__name__}, which no recipe can hold{remedy}")


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
