#!/usr/bin/env python3
"""Draws networks at random and holds gputrain's training of each against PyTorch's in float64.

    pip install numpy torch
    cargo build --release
    python tests/golden/random_networks.py                                          # a hundred networks on the CPU
    python tests/golden/random_networks.py --count 30 --arguments "--backend vulkan"
    python tests/golden/random_networks.py --first 17 --count 1 --keep FOLDER       # network 17 alone, its files kept

A network is a graph of every kind of layer but dropout, with a loss, an optimizer, a schedule and the rest of a training loop; its
number alone decides what it is. reference.py says what the recipe means. Both programs start at the same weights and see the same
batches; compared are the loss of each of 30 steps, and the loss of all examples at the end, by running statistics and averages.

A network agrees within 1e-4. Where it does not, PyTorch's own float32 runs are asked (16, from weights that are moved by up to two
roundings, the rows of each batch in another order): a gap of not more than five times theirs is `chaos`, which rounding alone makes
(a ReLU, a maximum or a sign tips over), and is listed beside their figure. Anything else DIFFERS, and ends the script with exit
code 1.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
import torch

from cases import Case, initial_parameters, initial_statistics, make_data, recipe_text, sample_weights
from make import named, named_statistics, nudged
from reference import ACTIVATIONS, Network, batches, parameter_shapes, statistic_shapes, train

STEPS = 30
BOUND = 1e-4
SPREADS = 5.0
FLOAT32_RUNS = 16
MAX_VALUES = 1200  # of one example in any layer
SMOOTH = [name for name in ACTIVATIONS if name != "softmax"]


class Draw:
    """Draws a network piece by piece; a piece that PyTorch refuses, or that is too large, is drawn again."""

    def __init__(self, seed):
        self.random = np.random.RandomState(seed)
        self.names = 0
        self.layers = []
        self.input = [self.whole(3, 20)] if self.chance(0.3) else [self.whole(4, 12), self.whole(4, 12), self.whole(1, 4)]

    # --- numbers ---

    def whole(self, least, most):
        return int(self.random.randint(least, most + 1))

    def chance(self, probability):
        return bool(self.random.uniform() < probability)

    def one_of(self, *options):
        return options[self.whole(0, len(options) - 1)]

    def share(self, least, most):
        """A number with few digits, on a scale of logarithms."""
        return float(f"{np.exp(self.random.uniform(np.log(least), np.log(most))):.2g}")

    def size(self, least, most):
        """A size given once, or one for each direction."""
        return self.one_of(self.whole(least, most), [self.whole(least, most), self.whole(least, most)])

    def name(self, layer):
        self.names += 1
        return {"name": f"l{self.names}", **layer}

    # --- layers ---

    def activated(self, layer):
        return {**layer, "activation": self.one_of(*SMOOTH)} if self.chance(0.6) else layer

    def dense(self, units=None):
        layer = {"dense": units or self.whole(1, 16), **({"bias": False} if self.chance(0.2) else {})}
        return {**layer, "activation": "softmax"} if self.chance(0.05) else self.activated(layer)

    def conv(self, channels, filters=None, keeps_size=False):
        groups = self.one_of(1, 1, 1, 2, 3, channels)
        layer = {"conv2d": filters or groups * self.whole(1, 3), "kernel": self.size(1, 4)}
        if self.chance(0.25) and not keeps_size:
            layer |= {"stride": self.size(1, 3)}
        layer |= {"padding": "same" if keeps_size else self.one_of("valid", "same", self.size(0, 3))}
        layer |= {"dilation": self.size(1, 3)} if self.chance(0.25) else {}
        layer |= {"groups": groups} if groups > 1 else {}
        return self.activated(layer | ({"bias": False} if self.chance(0.3) else {}))

    def conv_transpose(self, channels):
        groups = self.one_of(1, 1, 2, channels)
        layer = {"conv2d_transpose": groups * self.whole(1, 3), "kernel": self.size(1, 4), "stride": self.size(1, 3)}
        layer |= {"padding": self.one_of("valid", "same", self.size(0, 2))}
        if layer["padding"] != "same" and self.chance(0.3):
            layer |= {"output_padding": self.size(0, 2)}
        layer |= {"dilation": self.size(1, 2)} if self.chance(0.25) else {}
        layer |= {"groups": groups} if groups > 1 else {}
        return self.activated(layer | ({"bias": False} if self.chance(0.3) else {}))

    def norm(self, channels):
        groups = self.one_of(*(g for g in range(1, channels + 1) if channels % g == 0))
        layer = self.one_of({"batch_norm": True}, {"batch_norm": True}, {"layer_norm": True}, {"group_norm": groups})
        if "batch_norm" in layer and self.chance(0.4):
            layer |= {"momentum": self.share(0.05, 1.0)}
        return self.activated(layer | ({"epsilon": self.share(1e-5, 1e-2)} if self.chance(0.4) else {}))

    def pool(self):
        layer = {self.one_of("max_pool", "average_pool"): self.size(1, 4)}
        layer |= {"stride": self.size(1, 3)} if self.chance(0.5) else {}
        return layer | ({"padding": self.one_of("same", self.size(0, 2))} if self.chance(0.5) else {})

    def plain(self, shape):
        """One layer that takes this shape: (channels, height, width) or (features,)."""
        if len(shape) == 1:
            kinds = [self.dense, self.dense, lambda: self.norm(shape[0]), lambda: {"activation": self.one_of(*ACTIVATIONS)}]
        else:
            kinds = [lambda: self.conv(shape[0])] * 4 + [lambda: self.norm(shape[0])] * 2 + [self.pool] * 2
            kinds += [lambda: self.conv_transpose(shape[0]), lambda: {"activation": self.one_of(*SMOOTH)}]
            kinds += [lambda: {"upsample": self.size(1, 3)}]
        return self.one_of(*kinds)()

    def keeping(self, shape):
        """A layer that gives what it takes, in shape."""
        if self.chance(0.3):
            return self.norm(shape[0])
        return self.dense(shape[0]) if len(shape) == 1 else self.conv(shape[0], shape[0], keeps_size=True)

    def residual(self, shape):
        block = {"residual": [self.keeping(shape) for _ in range(self.whole(1, 3))]}
        if self.chance(0.5):
            block["residual"] += [self.plain(shape)]
            block["shortcut"] = [self.plain(shape) for _ in range(self.whole(1, 2))]
        elif self.chance(0.2):
            block["residual"] += [{"residual": [self.keeping(shape)]}]
        return [self.activated(block)]

    def branches(self, shape):
        start = self.name(self.keeping(shape))
        ways = [self.name({"from": start["name"], **self.keeping(shape)}) for _ in range(self.whole(1, 2))]
        if self.chance(0.5):
            ways[-1:] += [self.name(self.plain(shape))]
        together = [way["name"] for way in ways[-2:]] + [start["name"]]
        unused = ways[:-2]  # every output is taken by something
        names = [way["name"] for way in unused] + together
        join = {"add": names} if self.chance(0.5) else {"concat": names}
        return [start, *ways, self.activated(join) if "add" in join else join]

    def to_features(self):
        return [self.one_of({"global_average_pool": True}, {"global_max_pool": True}, {"flatten": True}, self.dense())]

    def to_image(self):
        height, width, channels = self.whole(2, 4), self.whole(2, 4), self.whole(1, 4)
        return [self.dense(height * width * channels), {"reshape": [height, width, channels]}]

    # --- the whole ---

    def shape(self, layers):
        """What these layers make of an example, or None where that is nothing that can train."""
        def take(_, weight, bias):
            return torch.zeros(weight), None if bias is None else torch.zeros(bias)

        sizes = []
        network = Network({"model": {"layers": layers}}, take)
        apply = network.apply
        network.apply = lambda layer, x: (y := apply(layer, x), sizes.append(y[0].numel()))[0]
        try:
            shape = tuple(network(torch.zeros(3, *self.input)).shape[1:])
        except (RuntimeError, ValueError, ZeroDivisionError):
            return None
        return shape if 0 < min(sizes, default=1) and max(sizes, default=1) <= MAX_VALUES else None

    def add(self, draw):
        """Adds what `draw` gives for the shape there is, once that fits."""
        for _ in range(100):
            piece = draw(self.shape(self.layers))
            if self.shape(self.layers + piece) is not None:
                self.layers += piece
                return

    def network(self, last):
        for _ in range(self.whole(2, 6)):
            kinds = [lambda shape: [self.plain(shape)]] * 4 + [self.residual] * 2 + [self.branches]
            if len(self.shape(self.layers)) == 1:
                kinds += [lambda _: self.to_image()] * (1 if self.chance(0.5) else 0)
            self.add(self.one_of(*kinds))
        if len(self.shape(self.layers)) == 3:
            self.add(lambda _: self.to_features())
        self.layers += [last]

    def optimizer(self):
        def some(**options):
            return {key: value for key, value in options.items() if self.chance(0.4)}

        kind = self.one_of("sgd", "sgd", "adam", "adamw", "rmsprop", "lion")
        betas = some(beta1=self.share(0.5, 0.95), beta2=self.share(0.9, 0.999))
        momentum = self.share(0.3, 0.9)
        spec = {"kind": kind} | {
            "sgd": lambda: {"learning_rate": self.share(0.005, 0.1)}
            | self.one_of({}, {"momentum": momentum}, {"momentum": momentum, "nesterov": True}),
            "adam": lambda: {"learning_rate": self.share(3e-4, 5e-3), **betas, **some(epsilon=self.share(1e-8, 1e-3))},
            "adamw": lambda: {"learning_rate": self.share(3e-4, 5e-3), **betas, **some(epsilon=self.share(1e-8, 1e-3))},
            "rmsprop": lambda: {"learning_rate": self.share(1e-4, 2e-3),
                                **some(momentum=momentum, alpha=self.share(0.8, 0.99), centered=True, epsilon=self.share(1e-6, 1e-2))},
            "lion": lambda: {"learning_rate": self.share(1e-4, 1e-3), **betas},
        }[kind]()
        decay = some(weight_decay=self.share(0.003, 0.1))
        decay |= {"decay_bias": False} if decay and self.chance(0.5) else {}
        return spec | decay | some(l2=self.share(3e-4, 3e-3)) | some(clip_norm=self.share(0.2, 2.0))

    def schedule(self, epochs):
        kinds = [
            {},
            {"kind": "step", "every": self.whole(1, 4), "factor": self.share(0.3, 0.9)},
            {"kind": "multi_step", "epochs": sorted({self.whole(1, 4), self.whole(1, 4)}), "factor": self.share(0.3, 0.9)},
            {"kind": "cosine", "by": self.one_of("epoch", "step")},
            {"kind": "one_cycle", "pct_start": self.share(0.2, 0.6), "anneal": self.one_of("cos", "linear")},
            {"kind": "phases", "phases": [{"epochs": 1, "learning_rate": self.share(1e-3, 1e-2)},
                                          {"epochs": epochs - 1, "learning_rate": self.share(1e-3, 1e-2)}]},
        ]
        warmup = self.one_of({}, {}, {"warmup_steps": self.whole(1, 12)}, {"warmup_epochs": self.one_of(0.5, 1, 1.5)})
        return self.one_of(*kinds) | warmup

    def case(self, number):
        outputs = self.whole(2, 6)
        loss, targets = self.one_of(("softmax_cross_entropy", "labels"), ("softmax_cross_entropy", "labels"),
                                    ("softmax_cross_entropy", "one_hot"), ("mse", "values"), ("half_mse", "values"), ("mae", "values"),
                                    ("huber", "values"), ("mse", "labels"), ("binary_cross_entropy", "binary"))
        self.network({"dense": outputs, **({"activation": "sigmoid"} if targets == "binary" else {})})
        model, data, loop = {}, {}, {}
        if loss == "softmax_cross_entropy" and self.chance(0.4):
            model = {"label_smoothing": self.share(0.03, 0.3)}
        if loss == "huber" and self.chance(0.6):
            model = {"delta": self.share(0.1, 1.0)}
        if loss == "softmax_cross_entropy" and targets == "labels" and not model and self.chance(0.4):
            data = {"class_weights": self.one_of("balanced", [self.share(0.3, 3.0) for _ in range(outputs)])}
        weighted = loss in ("softmax_cross_entropy", "mse", "binary_cross_entropy") and self.chance(0.2)
        at_a_time = self.one_of(1, 1, 1, 2, 3)
        if at_a_time > 1:
            loop |= {"accumulate": at_a_time}
        if self.chance(0.25):
            loop |= {"ema": self.share(0.8, 0.99)}
        per_epoch, batch = self.one_of(3, 5, 6, 10, 15), self.whole(4, 33)
        drop_last = self.chance(0.2)
        # The last update of an epoch may take fewer batches, the last batch have fewer rows, but three at least.
        batches = per_epoch * at_a_time - self.whole(0, at_a_time - 1)
        count = batches * batch + (self.whole(0, batch - 1) if drop_last else -self.whole(0, batch - 3))
        epochs = STEPS // per_epoch
        return Case(f"random-{number}", f"Network {number} of random_networks.py.", self.input, self.layers, loss, self.optimizer(),
                    self.schedule(epochs), data, model, loop, count=count, epochs=epochs, batch=batch, drop_last=drop_last,
                    targets=targets, weighted=weighted)


def worst(found, exact):
    """The largest relative gap of two lists of losses, and the step it is at (from 1)."""
    gaps = np.abs(np.asarray(found, dtype=np.float64) - exact) / np.abs(exact)
    at = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
    return float(gaps[at]), at + 1


class Job:
    """One random network with its data, and what PyTorch makes of it."""

    def __init__(self, number):
        self.case = Draw(number).case(number)
        self.recipe = tomllib.loads(recipe_text(self.case))
        shapes = parameter_shapes(self.recipe)
        self.x, self.y = make_data(self.case, outputs=self.case.layers[-1]["dense"])
        self.initial = initial_parameters(self.case, shapes)
        self.running = initial_statistics(self.case, statistic_shapes(self.recipe))
        self.weights = sample_weights(self.case)
        self.exact = self.train(torch.float64, self.initial)

    def train(self, dtype, initial, rows=slice(None)):
        """The losses of all steps, and after them that of all examples at the end."""
        weights = None if self.weights is None else self.weights[rows]
        losses, *_, evaluation = train(self.recipe, initial, self.x[rows], self.y[rows], dtype, self.running, weights)
        return np.array([*losses, evaluation])

    def float32_run(self, seed):
        """The worst gap of a run in float32: as it is, or with a seed nudged and summed in another order."""
        if not seed:
            return worst(self.train(torch.float32, self.initial), self.exact)[0]
        random, rows = np.random.RandomState(seed), np.arange(len(self.x))
        for first, end in batches(self.recipe, len(self.x)):
            random.shuffle(rows[first:end])
        return worst(self.train(torch.float32, nudged(self.initial, seed), rows), self.exact)[0]

    def float32_gap(self, runs):
        return max(self.float32_run(seed) for seed in range(runs))

    def gputrain(self, program, arguments, folder):
        """The same from gputrain, or what it says."""
        arrays = {"x": self.x, "y": self.y} | ({} if self.weights is None else {"weights": self.weights})
        np.savez(folder / "data.npz", **arrays)
        start = {**named("", self.recipe, self.initial), **named_statistics("", self.recipe, self.running)}
        np.savez(folder / "init.npz", **{name[1:]: array for name, array in start.items()})
        files = {"images": f"{folder}/data.npz#x", "labels": f"{folder}/data.npz#y"}
        self.case.data |= {"train": files, "test": files}
        if self.weights is not None:
            self.case.data |= {"sample_weights": f"{folder}/data.npz#weights"}
        (folder / "recipe.toml").write_text(recipe_text(self.case))
        command = [program, *arguments, "-q", "train", folder / "recipe.toml", "--init", folder / "init.npz", "--out", folder / "run"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return None, done.stderr.strip()
        steps = [json.loads(line)["loss"] for line in (folder / "run/steps.jsonl").read_text().splitlines()]
        return [*steps, json.loads((folder / "run/summary.json").read_text())["test_loss"]], None


def words(layers):
    """The kinds of the layers, a residual block with its own."""
    kinds = []
    for layer in layers:
        kind = next(key for key in layer if key not in ("name", "from"))
        inner = [words(layer[key]) for key in ("residual", "shortcut") if key in layer]
        kinds.append(f"{kind}({' | '.join(inner)})" if inner else kind)
    return " ".join(kinds)


def compare(number, options, folder):
    """Trains network `number` with both. Returns its verdict: agrees, chaos or DIFFERS."""
    network = Job(number)
    case = network.case
    folder.mkdir(parents=True, exist_ok=True)
    losses, problem = network.gputrain(options.program, shlex.split(options.arguments), folder)
    what = f"{words(case.layers)}; {case.loss}, {case.optimizer['kind']}"
    if losses is None or len(losses) != len(network.exact):
        print(f"{number:4} DIFFERS {problem or f'{len(losses)} losses'}\n     {what}")
        return "DIFFERS"
    gap, step = worst(losses, network.exact)
    agrees = gap <= BOUND
    theirs = network.float32_gap(1 if agrees else FLOAT32_RUNS)
    verdict = "agrees" if agrees else "chaos" if gap <= SPREADS * theirs else "DIFFERS"
    place = "the end" if step > STEPS else f"step {step}"
    print(f"{number:4} {verdict:7} gap {gap:.1e} at {place:7}  PyTorch's float32 {theirs:.1e}  {what}", flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/gputrain", help="the program to try")
    parser.add_argument("--arguments", default="--backend cpu", help="its global options, such as \"--backend vulkan\"")
    parser.add_argument("--first", type=int, default=0, help="number of the first network")
    parser.add_argument("--count", type=int, default=100, help="how many networks")
    parser.add_argument("--keep", type=Path, help="folder for the recipes, arrays and runs")
    options = parser.parse_args()
    torch.set_num_threads(1)  # one order of summation

    verdicts = []
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(options.first, options.first + options.count):
            verdicts.append(compare(number, options, (options.keep or Path(temporary)).resolve() / str(number)))
    counts = {verdict: verdicts.count(verdict) for verdict in ("agrees", "chaos", "DIFFERS")}
    print(", ".join(f"{verdict}: {count}" for verdict, count in counts.items()))
    sys.exit(1 if counts["DIFFERS"] else 0)


if __name__ == "__main__":
    main()
