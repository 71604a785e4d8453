#!/usr/bin/env python3
"""A search of 24 candidates by 5 folds: SearchCV, and GridSearchCV over gputrain's MLPClassifier and over scikit-learn's.

usage: search.py [IDX_DIR]
Six rates and four penalties of a network of 100 hidden units, on scikit-learn's digits (20 epochs) and, given the folder of MNIST's
train-images-idx3-ubyte.gz and its labels, on the first 6,000 of them (5 epochs). Prints a Markdown table of seconds, processor
seconds and the best mean score; SearchCV's scores must equal those of GridSearchCV. scikit-learn's own runs with one job and with two.
"""
import gzip, resource, sys, time, warnings
import numpy as np
from gputrain import MLPClassifier, SearchCV
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as ScikitLearns

warnings.filterwarnings("ignore")
GRID = {"learning_rate_init": [3e-4, 1e-3, 2e-3, 3e-3, 1e-2, 3e-2], "alpha": [1e-6, 1e-4, 1e-3, 1e-2]}


def processor_seconds():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def mnist(folder, count):
    images, labels = (gzip.open(f"{folder}/train-{kind}-ubyte.gz").read() for kind in ("images-idx3", "labels-idx1"))
    images = np.frombuffer(images, np.uint8, count * 784, 16).reshape(count, 784)
    return images.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, count, 8)


X, y = load_digits(return_X_y=True)
sets = {"digits, 1,797 rows, 20 epochs": ((X / 16).astype(np.float32), y, 20)}
if len(sys.argv) > 1:
    sets["MNIST, 6,000 rows, 5 epochs"] = (*mnist(sys.argv[1], 6000), 5)
for name, (X, y, epochs) in sets.items():
    common = {"hidden_layer_sizes": (100,), "max_iter": epochs, "random_state": 0, "n_iter_no_change": 1000}
    ours, theirs = MLPClassifier(device="cpu", **common), ScikitLearns(**common)
    searches = {
        '`SearchCV`, device "cpu"': SearchCV(ours, GRID, cv=5),
        '`GridSearchCV` over `MLPClassifier`, device "cpu"': GridSearchCV(ours, GRID, cv=5),
        "`GridSearchCV` over scikit-learn's": GridSearchCV(theirs, GRID, cv=5),
        "the same, `n_jobs=2`": GridSearchCV(theirs, GRID, cv=5, n_jobs=2),
    }
    print(f"\n| {name} | seconds | processor seconds | best score |\n|---|---|---|---|")
    scores = []
    for title, search in searches.items():
        begun, used = time.perf_counter(), processor_seconds()
        search.fit(X, y)
        scores.append(search.cv_results_["mean_test_score"])
        seconds, used = time.perf_counter() - begun, processor_seconds() - used
        # Workers that still wait for work are not counted among the processes that have ended.
        used = f"{used:.1f}" if search.n_jobs is None else ""
        print(f"| {title} | {seconds:.1f} | {used} | {search.best_score_:.4f} |", flush=True)
    assert np.array_equal(scores[0], scores[1]), "SearchCV has other scores than GridSearchCV"
