"""What is told of a training while it goes on."""

import json
import math
import time
import warnings

# What a note begins with that more than informs.
WARNING = "warning: "


def scores_in_words(values):
    """The losses and accuracies of an epoch or a summary that were measured."""
    told = []
    for name in ("train", "validation", "test"):
        loss, accuracy = values.get(f"{name}_loss"), values.get(f"{name}_accuracy")
        if loss is not None:
            told.append(f"{name} loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {100 * accuracy:.2f} %"))
    return "; ".join(told)


class TrainWatch:
    """What ``train`` tells: warnings before it begins, epochs to ``on_epoch``, and where ``verbose`` a line that says how far it is."""

    # Seconds between two states of the line.
    _EVERY = 0.2

    def __init__(self, on_epoch, verbose):
        self._on_epoch, self._verbose = on_epoch, verbose
        self._total, self._width, self._shown, self._told = 0, 0, 0.0, ""

    def notes(self, notes):
        """Is told what a person should know of the data."""
        for note in notes:
            if note.startswith(WARNING):
                # Of whoever called `train`, above `train_folds`.
                warnings.warn(note.removeprefix(WARNING), UserWarning, stacklevel=4)

    def epoch(self, _, metrics):
        """Is told of an epoch, as JSON."""
        metrics = json.loads(metrics)
        scores = scores_in_words(metrics) or "the loss is not finite"
        self._told = f", epoch {metrics['epoch']}: {scores}; {metrics['seconds']:.1f} s"
        self.progress(metrics["step"], self._total)
        if self._on_epoch is not None:
            self._on_epoch(metrics)

    def progress(self, done, total):
        """Is told of steps."""
        self._done, self._total = done, total
        if self._verbose and time.monotonic() - self._shown > self._EVERY:
            self._show()

    def end(self):
        """Leaves the line as it is."""
        if self._width or self._verbose and self._told:
            self._show()
            print()

    def _show(self):
        line = f"step {self._done}" + (f" of {self._total}" if self._total else "") + self._told
        # What stood there is written over, also where it was longer. Notebooks know the \r, too.
        print("\r" + line.ljust(self._width), end="", flush=True)
        self._width, self._shown = len(line), time.monotonic()


class FitWatch:
    """What an estimator tells that is ``verbose``: a line for each epoch, in scikit-learn's words."""

    def __init__(self, validation_score):
        self._validation_score = validation_score

    def notes(self, _):
        """Notes are kept in the run."""

    def epoch(self, _, metrics):
        """Is told of an epoch, as JSON."""
        metrics = json.loads(metrics)
        # What is not finite is null in JSON.
        loss = math.nan if metrics["train_loss"] is None else metrics["train_loss"]
        print(f"Iteration {metrics['epoch']}, loss = {loss:.8f}", flush=True)
        score = self._validation_score(metrics)
        if score is not None:
            print(f"Validation score: {score:f}", flush=True)

    def progress(self, *_):
        """Epochs are enough."""
