#!/usr/bin/env python3
"""Makes the golden files: recipes, data, initial weights, and what PyTorch gets from them in float64.

    pip install numpy torch scipy
    python make.py                 # makes everything in this folder again, and the table in README.md
    python make.py --only conv     # only the cases whose name contains "conv", and their rows of the table
    python make.py --check         # computes everything again and compares it with the files; writes nothing

The recipe (NAME.toml) is written first and read back, so that it alone says what the job is; reference.py says what its words
mean. Every case must hold before it is written: its gradients agree with central differences, its schedule with PyTorch's own,
and float32 runs stay within `MAX_DEVIATION` of the float64 losses, so that a difference seen later is a mistake and not chaos.
"""

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch

import tables
from cases import CASES, initial_parameters, initial_statistics, make_data, recipe_text, sample_weights
from reference import (
    central_difference_error,
    first_gradient,
    flat,
    parameter_shapes,
    statistic_shapes,
    steps_per_epoch,
    torch_schedule_rates,
    train,
    warmup_steps,
)

HERE = Path(__file__).parent
STEPS = 200
FLOAT32_RUNS = 16
MAX_DEVIATION = 3e-5  # of any step's loss between float32 and float64, relative
MAX_FINAL_DEVIATION = 2e-5  # of any final parameter, relative to the tensor's largest
MAX_DIFFERENCE = 1e-6  # between a gradient and central differences, relative to the tensor's largest gradient
MAX_BYTES = 200_000  # per file


def named(prefix, recipe, parameters):
    """Arrays under the names that a model file gives its parameters."""
    return {
        f"{prefix}.{name}.{kind}": array
        for (name, *_), layer in zip(parameter_shapes(recipe), parameters, strict=True)
        for kind, array in zip(("weight", "bias"), layer)
        if array is not None
    }


def named_statistics(prefix, recipe, statistics):
    """The same of running statistics."""
    return {
        f"{prefix}.{name}.{kind}": array
        for (name, _), pair in zip(statistic_shapes(recipe), statistics, strict=True)
        for kind, array in zip(("running_mean", "running_var"), pair, strict=True)
    }


def nudged(parameters, seed):
    """The parameters with every element moved by up to two roundings of float32, as another order of summation might."""
    random = np.random.RandomState(seed)
    return [[None if a is None else a * (1 + 2.4e-7 * random.uniform(-1, 1, a.shape)) for a in layer] for layer in parameters]


def relative(found, truth):
    """The largest difference of two lists of arrays, each relative to the largest element of its true array."""
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, truth))


def float32_deviation(recipe, initial, running, x, y, losses, final, sample):
    """How far float32 runs stray from the float64 one: worst loss, worst parameter or statistic.

    The first run starts at the initial weights, the others next to them: a case passes when no rounding tips a ReLU or a pool
    over to where the training goes another way, on this machine or on another.
    """
    loss_error = final_error = 0.0
    for seed in range(FLOAT32_RUNS):
        start = nudged(initial, seed) if seed else initial
        losses32, final32, _, _, measured32, _ = train(recipe, start, x, y, torch.float32, running, sample)
        loss_error = max(loss_error, float((np.abs(losses32 - losses) / np.abs(losses)).max()))
        final_error = max(final_error, relative(flat([*final32, *measured32]), final))
    return loss_error, final_error


def check_schedule(recipe, rates, per_epoch):
    """PyTorch's own scheduler must give the same rate in every step (warm-up aside, which PyTorch has not)."""
    theirs = torch_schedule_rates(recipe, per_epoch)
    warmup = warmup_steps(recipe.get("schedule", {}), per_epoch)
    if theirs is not None:
        np.testing.assert_allclose(rates[warmup:], theirs[warmup:], rtol=1e-11, atol=1e-15)


def build(recipe, x, y, initial, running=(), sample=None, mixed=False):
    """Trains one case and checks it. Returns its arrays and its row of the table. With `mixed` it is trained once more in mixed
    precision."""
    name = recipe["name"]
    losses, final, rates, norms, measured, evaluation = train(recipe, initial, x, y, torch.float64, running, sample)
    loss, gradients = first_gradient(recipe, initial, x, y, torch.float64, sample)
    difference = central_difference_error(recipe, initial, x, y, gradients, sample)
    deviation, final_deviation = float32_deviation(recipe, initial, running, x, y, losses, flat([*final, *measured]), sample)
    clip = recipe["optimizer"].get("clip_norm")

    check_schedule(recipe, rates, steps_per_epoch(recipe, len(x)))
    assert len(losses) == STEPS and np.isfinite(losses).all(), name
    assert loss == losses[0] or recipe["train"].get("accumulate", 1) > 1, name
    assert difference < MAX_DIFFERENCE, f"{name}: gradient off by {difference:.1e}"
    assert deviation < MAX_DEVIATION, f"{name}: float32 off by {deviation:.1e}"
    assert final_deviation < MAX_FINAL_DEVIATION, f"{name}: float32 parameters off by {final_deviation:.1e}"
    assert clip is None or 20 < (norms > clip).sum() < 180, f"{name}: {(norms > clip).sum()} steps clipped"

    arrays = {"x": x, "y": y, **named("init", recipe, initial), "losses": losses, "learning_rates": rates}
    arrays |= {**named("grad", recipe, gradients), **named("final", recipe, final)}
    if running:
        arrays |= {**named_statistics("init", recipe, running), **named_statistics("final", recipe, measured)}
        arrays["evaluation"] = np.array([evaluation])
    if sample is not None:
        arrays["sample_weights"] = sample
    if mixed:
        rounded = train({**recipe, "precision": "mixed"}, initial, x, y, torch.float64, running, sample)[1]
        assert 1e-5 < relative(flat(rounded), flat(final)) < 1e-2, f"{name}: {relative(flat(rounded), flat(final)):.1e} by rounding"
        arrays |= named("mixed", recipe, rounded)
    parameters = sum(a.size for a in flat(initial))
    row = [name, parameters, f"{losses[0]:.6f}", f"{losses[-1]:.6f}", deviation, final_deviation, difference]
    return arrays, row


def build_case(case, text):
    recipe = tomllib.loads(text)
    shapes = parameter_shapes(recipe)
    x, y = make_data(case, outputs=shapes[-1][1][0])
    running = initial_statistics(case, statistic_shapes(recipe))
    return build(recipe, x, y, initial_parameters(case, shapes), running, sample_weights(case), case.mixed)


def store(path, arrays, check):
    """Writes a file, or compares it with what is there: inputs exactly, results to the last digits a library may change."""
    if not check:
        np.savez_compressed(path, **arrays)
        assert path.stat().st_size < MAX_BYTES, f"{path.name} has {path.stat().st_size} bytes"
        return
    with np.load(path) as stored:
        assert sorted(stored.files) == sorted(arrays), f"{path.name}: other arrays"
        for key, array in arrays.items():
            exact = key in ("x", "y", "sample_weights") or key.startswith("init.")
            tolerance = 0 if exact else 1e-9
            np.testing.assert_allclose(stored[key], array, rtol=tolerance, atol=tolerance, err_msg=f"{path.name} {key}")


def store_text(path, text, check):
    if check:
        assert path.read_text() == text, f"{path.name} is not what make.py writes"
    else:
        path.write_text(text)


def write_table(rows, order):
    """Puts the rows into the table between the two marks in README.md, where other rows stay."""
    head = ["case", "parameters", "first loss", "last loss", "f32 loss", "f32 final", "central differences", "bytes"]
    path = HERE / "README.md"
    before, rest = path.read_text().split("<!-- table -->\n")
    table, after = rest.split("<!-- end of table -->\n")
    lines = {line.split("|")[1].strip(): line for line in table.splitlines()[2:]}
    for name, *numbers in rows:
        cells = [f"{n:.1e}" if isinstance(n, float) else str(n) for n in numbers]
        lines[name] = "| " + " | ".join([name, *cells, str((HERE / f"{name}.npz").stat().st_size)]) + " |"
    table = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1), *(lines[name] for name in order if name in lines)]
    path.write_text(before + "<!-- table -->\n" + "\n".join(table) + "\n<!-- end of table -->\n" + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation

    rows, failed = [], []
    published = ("published-sigmoid", tables.PUBLISHED_RECIPE, lambda text: build(tomllib.loads(text), *tables.published_network()))
    jobs = [(case.name, recipe_text(case), lambda text, case=case: build_case(case, text)) for case in CASES]
    for name, text, job in [*jobs, published]:
        if options.only not in name:
            continue
        try:
            arrays, row = job(text)
            store_text(HERE / f"{name}.toml", text, options.check)
            store(HERE / f"{name}.npz", arrays, options.check)
        except AssertionError as error:
            failed.append(name)
            print(f"FAILED {name}: {error}", file=sys.stderr)
            continue
        rows.append(row)
        print(f"{name:40} loss {row[2]} -> {row[3]}   f32 {row[4]:.1e} {row[5]:.1e}   differences {row[6]:.1e}")
    if options.only in "activations":
        store(HERE / "activations.npz", tables.activation_tables(), options.check)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")
    if not options.check:
        write_table(rows, [name for name, *_ in [*jobs, published]])


if __name__ == "__main__":
    main()
