#!/usr/bin/env python3
"""Trains dense recipes of data/recipes in PyTorch, from the initial weights that the recipes draw, and prints one JSON line
per run: what their accuracies are to be held against.

usage: torch_accuracy.py DATA [--seeds N] [--only NAME,...]

DATA holds mnist/, fashion-mnist/ (idx.gz) and notmnist/notMNIST.npz. A seed draws the weights, the order of the batches and the
sets that are held out. torch.nn.init's names: glorot is xavier.
"""
import argparse, gzip, json, math, time
import numpy as np
import torch
import torch.nn as nn

ACTIVATION = {"relu": nn.ReLU, "tanh": nn.Tanh}
INIT = {
    "normal_0.1": lambda p, fan_in, fan_out: nn.init.normal_(p, std=0.1),
    "fan_in_uniform": lambda p, fan_in, fan_out: nn.init.uniform_(p, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in)),
    "glorot_normal": lambda p, fan_in, fan_out: nn.init.normal_(p, std=math.sqrt(2 / (fan_in + fan_out))),
    "constant_0.01": lambda p, fan_in, fan_out: nn.init.constant_(p, 0.01),
}


def idx(path):
    raw = gzip.open(path).read()
    shape = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(raw[3])]
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy())


def published(data, folder, shift):
    sets = [idx(f"{data}/{folder}/{s}-{k}-ubyte.gz") for s in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    return sets[0].flatten(1) / 255 - shift, sets[1].long(), sets[2].flatten(1) / 255 - shift, sets[3].long()


def not_mnist(data, seed):
    z = np.load(f"{data}/notmnist/notMNIST.npz")
    order = np.random.RandomState(seed).permutation(len(z["labels"]))
    x = torch.from_numpy(z["images"][order].astype(np.float32)).flatten(1) / 255
    y = torch.from_numpy(z["labels"][order].astype(np.int64))
    return x[2724:], y[2724:], x[:2724], y[:2724]


def network(layers, activation, weights, biases):
    modules = []
    for i, (fan_in, fan_out) in enumerate(zip(layers, layers[1:])):
        layer = nn.Linear(fan_in, fan_out)
        INIT[weights](layer.weight, fan_in, fan_out)
        INIT[biases](layer.bias, fan_in, fan_out)
        modules += [layer] + ([ACTIVATION[activation]()] if i < len(layers) - 2 else [])
    return nn.Sequential(*modules)


def jobs(data):
    """Name, sets of a seed, examples held out for validation, network, rate, momentum, batch, epochs, where the rate is halved."""
    ten = lambda: network([784, 10, 10, 10, 10], "relu", "fan_in_uniform", "constant_0.01")
    yield "fashion-mlp-10x3", lambda _: published(data, "fashion-mnist", 0.5), 0, ten, 0.01, 0, 100, 20, ()
    for a in ("tanh", "relu"):
        for rate in (0.5, 0.05, 0.005):
            net = lambda a=a: network([784, 100, 50, 25, 10], a, "normal_0.1", "normal_0.1")
            yield f"mnist-rates {a} {rate}", lambda _: published(data, "mnist", 0), 10000, net, rate, 0, 500, 50, (20, 40)
    for hidden in (100, 500, 1000, 2000):
        net = lambda h=hidden: network([784, h, 10], "relu", "glorot_normal", "glorot_normal")
        yield f"notmnist-sizes {hidden}", lambda seed: not_mnist(data, seed), 1000, net, 0.15, 0.99, None, 200, ()


def train(sets, held_out, make, rate, momentum, batch, epochs, halved, seed):
    x, y, test_x, test_y = sets(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(x)) if held_out else torch.arange(len(x))
    x, y = x[order[held_out:]], y[order[held_out:]]
    net, batch, start = make(), batch or len(x), time.time()
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(halved), gamma=0.5)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch):
            rows = order[first:first + batch]
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
    with torch.no_grad():
        accuracy = [(net(x).argmax(1) == y).float().mean().item() for x, y in ((x, y), (test_x, test_y))]
    return dict(train_accuracy=round(accuracy[0], 4), test_accuracy=round(accuracy[1], 4), seconds=round(time.time() - start, 1))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    for name, *job in jobs(options.data):
        if not options.only or any(name.startswith(n) for n in options.only.split(",")):
            for seed in range(options.seeds):
                print(json.dumps(dict(job=name, seed=seed, **train(*job, seed))), flush=True)


if __name__ == "__main__":
    main()
