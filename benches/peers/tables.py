#!/usr/bin/env python3
"""gputrain's default recipe for tables beside scikit-learn's MLP, untuned and tuned, on scikit-learn's own data sets.

usage: tables.py PROGRAM [--seeds N] [--candidates N] [NAME ...]      NAME: digits, iris, wine, breast_cancer, diabetes
Each seed splits a set 3 : 1 (stratified where there are classes), writes both parts as CSV, runs `PROGRAM train --train FILE --target
target --test FILE`, and fits the MLP behind a StandardScaler with its defaults (but max_iter=2000) and as the best of a random search
of N candidates by three folds of the training part. One JSON line a set and seed, then the means: accuracy, or R² of values.
"""
import argparse, json, os, subprocess, sys, tempfile, warnings
from sklearn import datasets
from sklearn.model_selection import RandomizedSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import pandas

NAMES = ["digits", "iris", "wine", "breast_cancer", "diabetes"]
ap = argparse.ArgumentParser()
ap.add_argument("program")
ap.add_argument("names", nargs="*")
ap.add_argument("--seeds", type=int, default=10)
ap.add_argument("--candidates", type=int, default=12)
a = ap.parse_args()
warnings.filterwarnings("ignore")
os.environ["PYTHONWARNINGS"] = "ignore"

# What people try first: widths, depth, weight decay, learning rate, batch.
CHOICES = {
    "hidden_layer_sizes": [(32,), (100,), (256,), (64, 32), (128, 64)],
    "alpha": [1e-4, 1e-2, 1e-1, 1.0],
    "learning_rate_init": [1e-3, 3e-3, 1e-2],
    "batch_size": [32, 128],
}


def gputrain(train, test, target, seed):
    with tempfile.TemporaryDirectory() as folder:
        parts = {"train": train, "test": test}
        for name, part in parts.items():
            part.to_csv(f"{folder}/{name}.csv", index=False)
        command = [a.program, "--backend", "cpu", "--json", "train", "--train", f"{folder}/train.csv", "--target", target]
        command += ["--test", f"{folder}/test.csv", "--seed", str(seed), "--out", f"{folder}/run"]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result = json.loads(out.splitlines()[-1])
        return result["metrics"]["test"]["r2"] if result["test_accuracy"] is None else result["test_accuracy"]


for name in a.names or NAMES:
    data = getattr(datasets, "load_" + name)(as_frame=True).frame
    values = name == "diabetes"
    model = MLPRegressor if values else MLPClassifier
    rows = []
    for seed in range(a.seeds):
        classes = None if values else data["target"]
        train, test = train_test_split(data, test_size=0.25, random_state=seed, stratify=classes)
        X, y, X_test, y_test = train.drop(columns="target"), train["target"], test.drop(columns="target"), test["target"]
        if not values:
            # As text, so that nobody takes the classes for numbers.
            train, test = (part.assign(target=[f"class {t}" for t in part["target"]]) for part in (train, test))
        plain = make_pipeline(StandardScaler(), model(random_state=seed, max_iter=2000)).fit(X, y)
        choices = {f"{model.__name__.lower()}__{key}": values for key, values in CHOICES.items()}
        search = RandomizedSearchCV(
            make_pipeline(StandardScaler(), model(random_state=seed, max_iter=500)), choices, n_iter=a.candidates, cv=3,
            random_state=seed,
        ).fit(X, y)
        row = {
            "name": name,
            "seed": seed,
            "gputrain": gputrain(train, test, "target", seed),
            "mlp": plain.score(X_test, y_test),
            "tuned": search.score(X_test, y_test),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in ("gputrain", "mlp", "tuned")}
    print(json.dumps({"name": name, "seeds": a.seeds} | {key: round(value, 4) for key, value in mean.items()}), flush=True)
