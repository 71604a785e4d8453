#!/usr/bin/env python3
"""A notebook's first fit: MNIST by gputrain's MLPClassifier, scikit-learn's, skorch's NeuralNetClassifier and a loop in PyTorch, on the CPU.

usage: mnist_fit.py DATA_DIR [--epochs N] [--seeds N] [--threads N] [--only NAME,…]      NAME: gputrain, sklearn, skorch, torch
DATA_DIR holds mnist/*.gz; gputrain is installed from ./python. The same network (784-128-64-10, ReLU), Adam at 0.001, batch 128 and
number of epochs, pixels from 0 to 1. A JSON line a fit: name, seed, test accuracy, seconds and processor seconds of the fit alone.
"""
import argparse, gzip, json, os, sys, time, warnings

ap = argparse.ArgumentParser()
ap.add_argument("data")
ap.add_argument("--epochs", type=int, default=10)
ap.add_argument("--seeds", type=int, default=3)
ap.add_argument("--threads", type=int, default=os.cpu_count())
ap.add_argument("--only", default="gputrain,sklearn,skorch,torch")
a = ap.parse_args()
# Before the libraries start their threads.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(a.threads)
warnings.filterwarnings("ignore")
import numpy as np


def read(name, head):
    with gzip.open(os.path.join(a.data, "mnist", name + ".gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=head)


images = [read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) / 255 for part in ("train", "t10k")]
labels = [read(f"{part}-labels-idx1-ubyte", 8).astype(np.int64) for part in ("train", "t10k")]


def gputrain(seed):
    from gputrain import MLPClassifier

    return MLPClassifier((128, 64), batch_size=128, max_iter=a.epochs, n_iter_no_change=a.epochs, random_state=seed, device="cpu")


def sklearn(seed):
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((128, 64), batch_size=128, max_iter=a.epochs, n_iter_no_change=a.epochs, random_state=seed)


def network(seed):
    import torch

    torch.set_num_threads(a.threads)
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)]
    return torch.nn.Sequential(*layers)


def skorch(seed):
    import torch
    from skorch import NeuralNetClassifier

    return NeuralNetClassifier(
        network(seed), criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.001, batch_size=128,
        max_epochs=a.epochs, train_split=None, iterator_train__shuffle=True, verbose=0,
    )


class Loop:
    """What people write by hand: a permutation of the whole set each epoch, batches sliced from tensors in memory."""

    def __init__(self, seed):
        self.network = network(seed)

    def fit(self, X, y):
        import torch

        X, y = torch.from_numpy(X), torch.from_numpy(y)
        adam, loss = torch.optim.Adam(self.network.parameters(), lr=0.001), torch.nn.CrossEntropyLoss()
        for _ in range(a.epochs):
            for rows in torch.randperm(len(X)).split(128):
                adam.zero_grad()
                loss(self.network(X[rows]), y[rows]).backward()
                adam.step()
        return self

    def score(self, X, y):
        import torch

        with torch.no_grad():
            return (self.network(torch.from_numpy(X)).argmax(1).numpy() == y).mean()


for name in a.only.split(","):
    make = {"gputrain": gputrain, "sklearn": sklearn, "skorch": skorch, "torch": Loop}[name]
    for seed in range(a.seeds):
        model = make(seed)
        clock, processor = time.perf_counter(), time.process_time()
        model.fit(images[0], labels[0])
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        accuracy = round(float(model.score(images[1], labels[1])), 4)
        row = {"name": name, "seed": seed, "test_accuracy": accuracy, "seconds": round(clock, 2), "processor_seconds": round(processor, 2)}
        print(json.dumps(row), flush=True)
