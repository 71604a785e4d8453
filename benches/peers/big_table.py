#!/usr/bin/env python3
"""gputrain's default recipe on a large table with categories and gaps, beside scikit-learn's MLP and HistGradientBoosting.

usage: big_table.py PROGRAM [--rows N] [--seed N]
Makes up a table of N rows (10 columns of numbers, 4 of text with 3 to 40 levels, 5 % of the cells of 5 columns missing; a yes or no
of products, waves and levels, with noise), four fifths to train on, and trains on its CSV files, each in a process of its own:
`PROGRAM train --train FILE --target bought --test FILE --set data.missing=indicator`, the MLP with early stopping behind means for
gaps, a StandardScaler and one-hot levels, and the trees with gaps and categories as such. Prints a Markdown table: accuracy on the
tests; seconds from a program's start to the first step (of the peers until the estimator's `fit` begins, the table read and
encoded) and to its end; processor seconds and peak memory of its process.
"""
import time

STARTED = time.perf_counter()
import argparse, json, os, subprocess, sys, tempfile

# Idle threads of the trees else wait in loops, which costs many times their work where other programs want the processor.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The parts import what they need themselves: a process begins with its parent's peak memory.
GAPS = ["x0", "x3", "x7", "c1", "c2"]
LEVELS = {"c0": 3, "c1": 8, "c2": 20, "c3": 40}


def make(folder, rows, seed):
    import numpy as np, pandas

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 10)).round(4)
    levels = {name: rng.integers(0, count, rows) for name, count in LEVELS.items()}
    weight = {name: rng.normal(size=count) for name, count in LEVELS.items()}
    c0, c1, c2, c3 = (weight[name][level] for name, level in levels.items())
    truth = x[:, 0] + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 4]) + c2 * x[:, 3] + c0 + c1 + c3 + rng.normal(size=rows)
    table = pandas.DataFrame(x, columns=[f"x{i}" for i in range(10)])
    for name, level in levels.items():
        table[name] = np.array([f"level {i}" for i in range(LEVELS[name])], object)[level]
    for name in GAPS:
        table.loc[rng.random(rows) < 0.05, name] = None
    table["bought"] = np.where(truth > 0, "yes", "no")
    train = rng.random(rows) < 0.8
    for name, part in ("train", table[train]), ("test", table[~train]):
        part.to_csv(f"{folder}/{name}.csv", index=False)
    print(json.dumps({"train": int(train.sum()), "test": int((~train).sum())}))


def peer(name, folder, seed):
    import pandas
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    types = {level: "category" for level in LEVELS}
    train, test = (pandas.read_csv(f"{folder}/{part}.csv", dtype=types) for part in ("train", "test"))
    X, y, X_test, y_test = train.drop(columns="bought"), train["bought"], test.drop(columns="bought"), test["bought"]
    if name == "MLPClassifier":
        numbers = [column for column in X if column not in LEVELS]
        encode = make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers), (OneHotEncoder(handle_unknown="ignore"), list(LEVELS)),
        )
        X, X_test = encode.fit_transform(X), encode.transform(X_test)
        model = MLPClassifier(early_stopping=True, random_state=seed)
    else:
        model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    first = time.perf_counter() - STARTED
    model.fit(X, y)
    print(json.dumps({"epochs": model.n_iter_, "test_accuracy": model.score(X_test, y_test), "startup_seconds": first}))


def run(name, command):
    """Prints a row of the table: what the last line of a command says, and what the system says of its process."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds, child.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{name} ended with {child.returncode}")
    said = json.loads(said.splitlines()[-1])
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3 / 1.024)
    row = [name, str(said["epochs"]), f"{100 * said['test_accuracy']:.2f} %", f"{said['startup_seconds']:.1f}", f"{seconds:.1f}"]
    print("|", " | ".join(row + [f"{usage.ru_utime + usage.ru_stime:.1f}", f"{peak:.0f} MB"]), "|", flush=True)


if sys.argv[1:2] == ["--part"]:
    name, folder, number, seed = sys.argv[2:]
    make(folder, int(number), int(seed)) if name == "make" else peer(name, folder, int(seed))
    sys.exit()
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("program")
ap.add_argument("--rows", type=int, default=500_000)
ap.add_argument("--seed", type=int, default=1)
a = ap.parse_args()
with tempfile.TemporaryDirectory() as folder:
    part = lambda name: [sys.executable, "-W", "ignore", __file__, "--part", name, folder, str(a.rows), str(a.seed)]
    made = json.loads(subprocess.run(part("make"), check=True, stdout=subprocess.PIPE).stdout)
    print(f"{made['train']} rows to train on, {made['test']} to test with\n")
    print("| | epochs or trees | accuracy | first step after, s | seconds | processor seconds | peak |")
    print("|---|---|---|---|---|---|---|", flush=True)
    ours = [a.program, "--backend", "cpu", "--json", "--quiet", "train", "--train", f"{folder}/train.csv", "--target", "bought"]
    ours += ["--test", f"{folder}/test.csv", "--set", "data.missing=indicator", "--seed", str(a.seed), "--out", f"{folder}/run"]
    run("gputrain", ours)
    for name in ("MLPClassifier", "HistGradientBoostingClassifier"):
        run(name, part(name))
