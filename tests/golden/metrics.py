"""Writes metrics.json: answers to awkward sets of examples, and what scikit-learn measures of them.

    pip install numpy scikit-learn
    python metrics.py            # writes metrics.json
    python metrics.py --check    # computes it again and compares; writes nothing

Inputs are single-precision numbers. scikit-learn takes them as they are for the log loss, whose clipping depends on the type, and
in double precision for all else. None: undefined. The calibration error is computed here in plain NumPy. Made with
NumPy 2.4 and scikit-learn 1.9.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics as sk

FILE = Path(__file__).with_name("metrics.json")


def defined(value):
    return None if np.isnan(value) else float(value)


def calibration_error(probabilities, truth):
    """The expected calibration error over 15 equal bins of the likeliest class' probability."""
    p = probabilities.astype(np.float64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    edges = np.arange(16) / 15
    error = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        here = (confidence > low) & (confidence <= high)
        if here.any():
            error += here.mean() * abs(right[here].mean() - confidence[here].mean())
    return error


def of_labels(truth, answers, **options):
    """Means over classes or bits."""
    common = {"zero_division": 0, **options}
    return {
        "precision_macro": sk.precision_score(truth, answers, average="macro", **common),
        "recall_macro": sk.recall_score(truth, answers, average="macro", **common),
        "f1_macro": sk.f1_score(truth, answers, average="macro", **common),
        "f1_weighted": sk.f1_score(truth, answers, average="weighted", **common),
    }


def areas(indicator, scores):
    return {
        "roc_auc": defined(np.mean([sk.roc_auc_score(y, s) for y, s in zip(indicator.T, scores.T)])),
        "average_precision": np.mean([sk.average_precision_score(y, s) for y, s in zip(indicator.T, scores.T)]),
    }


def of_classes(outputs, truth, probabilities, threshold=None):
    """Outputs (N, classes), or (N, 1) with the probability of class 1."""
    wide = np.hstack([np.float32(1) - outputs, outputs]) if outputs.shape[1] == 1 else outputs
    count = wide.shape[1]
    labels = np.arange(count)
    answers = wide.argmax(axis=1) if threshold is None else (wide[:, 1] >= np.float32(threshold)).astype(int)
    double = wide.astype(np.float64)
    found = {
        "accuracy": sk.accuracy_score(truth, answers),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, answers),
        **of_labels(truth, answers),
    }
    if count == 2:
        found["top5_accuracy"] = 1.0
        found["roc_auc"] = defined(sk.roc_auc_score(truth, double[:, 1]))
        found["average_precision"] = sk.average_precision_score(truth, double[:, 1])
        for name, score in [("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)]:
            found[name] = score(truth, answers, pos_label=1, labels=[0, 1], zero_division=0)
    else:
        found["top5_accuracy"] = sk.top_k_accuracy_score(truth, double, k=5, labels=labels)
        indicator = (truth[:, None] == labels).astype(int)
        found |= areas(indicator, double)
        if len(np.unique(truth)) == count and probabilities:
            # The mean over the columns is what scikit-learn calls one against the rest.
            ovr = sk.roc_auc_score(truth, double, multi_class="ovr", average="macro")
            assert abs(ovr - found["roc_auc"]) < 1e-12
            assert abs(sk.average_precision_score(truth, double) - found["average_precision"]) < 1e-12
    if probabilities:
        found["log_loss"] = sk.log_loss(truth, wide, labels=labels)
        if outputs.shape[1] == 1:
            found["brier"] = sk.brier_score_loss(truth, outputs[:, 0].astype(np.float64), labels=labels, pos_label=1)
        else:
            rows = double / double.sum(axis=1, keepdims=True)
            assert np.abs(rows - double).max() < 1e-6
            found["brier"] = sk.brier_score_loss(truth, double, labels=labels)
        found["calibration_error"] = calibration_error(wide, truth)
    return found


def of_bits(outputs, targets):
    answers, truth = (outputs > 0.5).astype(int), targets.astype(int)
    return {
        "accuracy": float((answers == truth).mean()),
        "subset_accuracy": sk.accuracy_score(truth, answers),
        **of_labels(truth, answers),
        **areas(truth, outputs.astype(np.float64)),
    }


def of_values(outputs, targets):
    y, p = targets.astype(np.float64), outputs.astype(np.float64)
    return {
        "mae": sk.mean_absolute_error(y, p),
        "rmse": sk.root_mean_squared_error(y, p),
        "r2": defined(sk.r2_score(y, p)),
        "max_error": max(sk.max_error(a, b) for a, b in zip(y.T, p.T)),
    }


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
    return powers / powers.sum(axis=1, keepdims=True, dtype=np.float32)


def cases():
    draw = np.random.default_rng(14)
    normal = lambda *shape: draw.normal(size=shape).astype(np.float32)

    def classes(name, outputs, truth, probabilities=True, threshold=None):
        outputs, truth = np.asarray(outputs, np.float32), np.asarray(truth)
        found = of_classes(outputs, truth, probabilities, threshold)
        given = {"probabilities": probabilities, "threshold": threshold}
        return {"name": name, "task": "classes", **given, **as_lists(outputs, truth), "expected": found}

    def others(name, task, outputs, targets):
        outputs, targets = np.asarray(outputs, np.float32), np.asarray(targets, np.float32)
        found = {"bits": of_bits, "values": of_values}[task](outputs, targets)
        return {"name": name, "task": task, **as_lists(outputs, targets), "expected": found}

    seven = draw.integers(0, 7, 60)
    yield classes("seven classes", softmax(2 * normal(60, 7) + 2 * np.eye(7, dtype=np.float32)[seven]), seven)
    coarse = np.round(softmax(normal(40, 8)) * 4) / 4
    yield classes("ties", np.array([[0.25] * 4] * 6 + [[0.5, 0.5, 0, 0]] * 6), [0, 1, 2, 3] * 3)
    yield classes("ties of scores that are no probabilities", coarse, draw.integers(0, 8, 40), probabilities=False)
    yield classes("a class is absent", softmax(normal(20, 4)), draw.integers(0, 3, 20))
    yield classes("a class is neither true nor answered", [[0.6, 0.3, 0.1, 0], [0.2, 0.8, 0, 0], [0.7, 0.3, 0, 0]], [0, 1, 1])
    yield classes("certain", np.eye(5)[[0, 1, 2, 3, 4, 0, 1]], [0, 1, 2, 3, 3, 4, 1])
    yield classes("one example of three classes", [[0.2, 0.5, 0.3]], [2])
    two = draw.integers(0, 2, 50)
    yield classes("two classes", softmax(normal(50, 2) + np.eye(2, dtype=np.float32)[two]), two)
    yield classes("two classes, threshold", softmax(normal(50, 2)), two, threshold=0.7)
    single = np.round(draw.random((50, 1)), 1)
    yield classes("one probability, ties", single, two)
    yield classes("one probability, threshold", single, two, threshold=0.2)
    yield classes("zero and one", [[0], [1], [0], [1], [0.5]], [0, 1, 1, 0, 1])
    yield classes("only the first class", [[0.1], [0.7], [0.2]], [0, 0, 0])
    yield classes("only the second class", [[0.1], [0.7], [0.2]], [1, 1, 1])
    yield classes("one example", [[0.75]], [1])
    yield classes("two scores", normal(30, 2), draw.integers(0, 2, 30), probabilities=False)

    bits = draw.integers(0, 2, (40, 3))
    yield others("bits", "bits", np.clip(0.4 * bits + 0.6 * draw.random((40, 3)), 0, 1), bits)
    yield others("bits, one never set", "bits", draw.random((9, 3)), bits[:9] * [1, 0, 1])
    yield others("bits, none set and none answered", "bits", [[0.1, 0.2], [0.3, 0]], [[0, 0], [0, 0]])

    values = normal(30, 1)
    yield others("values", "values", values + 0.3 * normal(30, 1), values)
    yield others("several values", "values", normal(20, 3), normal(20, 3) * [1, 10, 100])
    yield others("worse than the mean", "values", [[5], [-5], [0]], [[1], [2], [3]])
    yield others("a constant truth", "values", [[1], [2], [3]], [[0.1], [0.1], [0.1]])
    yield others("a constant truth that is met", "values", [[0.1], [0.1]], [[0.1], [0.1]])
    yield others("one value", "values", [[1]], [[2]])
    yield others("far from zero", "values", 1e6 + normal(12, 1), 1e6 + normal(12, 1))


def as_lists(outputs, targets):
    targets = targets.ravel()
    return {
        "width": outputs.shape[1],
        "outputs": [float(x) for x in outputs.ravel()],
        "targets": [float(x) for x in targets],
    }


def main():
    warnings.simplefilter("ignore")
    found = list(cases())
    for case in found:
        case["expected"] = {name: value if value is None else float(value) for name, value in case["expected"].items()}
    if "--check" in sys.argv:
        stored = json.loads(FILE.read_text())
        assert [case["name"] for case in stored] == [case["name"] for case in found]
        for before, now in zip(stored, found):
            for name, value in now["expected"].items():
                had = before["expected"][name]
                same = had is value is None or abs(had - value) <= 1e-9 * max(1, abs(value))
                assert same, (now["name"], name, had, value)
        return
    lines = ",\n".join(json.dumps(case) for case in found)
    FILE.write_text(f"[\n{lines}\n]\n")


main()
