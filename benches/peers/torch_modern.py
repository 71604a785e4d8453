#!/usr/bin/env python3
"""The bundled recipes mnist-99 and fashion-94 in PyTorch, on the CPU: the same networks, initial weights, optimizer, schedule and
augmentation.

usage: torch_modern.py NAME DATA_DIR [--seed N] [--threads N] [--stop-after N]      NAME: mnist-99 or fashion-94
DATA_DIR holds mnist/*.gz and fashion-mnist/*.gz. One JSON line an epoch: name, seed, epoch, loss, test_accuracy, seconds, and
processor seconds.
"""
import argparse, gzip, json, os, resource, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("name", choices=["mnist-99", "fashion-94"])
ap.add_argument("data")
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--threads", type=int, default=0)
ap.add_argument("--stop-after", type=int, default=0, help="epochs after which to stop, for timing")
a = ap.parse_args()
if a.threads:
    torch.set_num_threads(a.threads)
torch.set_flush_denormal(True)
torch.manual_seed(a.seed)


class Matrix(nn.Module):
    """A convolution, or a dense layer, whose weight is a matrix of outputs by inputs, as torch.optim.Muon wants it."""

    def __init__(self, inputs, outputs, kernel=None, stride=1, padding=0, bias=False):
        super().__init__()
        self.shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
        self.stride, self.padding = stride, padding
        fan_in = inputs * (kernel or 1) ** 2
        self.weight = nn.Parameter(torch.randn(outputs, fan_in) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x):
        weight = self.weight.view(self.shape)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding) if x.dim() == 4 else F.linear(x, weight, self.bias)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.body = nn.Sequential(Matrix(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(),
                                  Matrix(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs))
        self.shortcut = (nn.Identity() if inputs == outputs and stride == 1
                         else nn.Sequential(Matrix(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def pooled(inputs, outputs, kernel, padding=0):
    return Matrix(inputs, outputs, kernel, 1, padding), nn.MaxPool2d(2), nn.BatchNorm2d(outputs), nn.ReLU()


if a.name == "mnist-99":
    folder, epochs, batch, moved, flipped, smoothing = "mnist", 2, 256, 1, False, 0.0
    net = nn.Sequential(*pooled(1, 16, 5), *pooled(16, 32, 3), nn.Flatten(), Matrix(800, 10, bias=True))
    rates, weight_decay = (0.02, 0.01), 0.0
else:
    folder, epochs, batch, moved, flipped, smoothing = "fashion-mnist", 20, 250, 2, True, 0.1
    net = nn.Sequential(*pooled(1, 32, 3, 1), Block(32, 32), Block(32, 64, 2), Block(64, 64), Block(64, 64),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), Matrix(64, 10, bias=True))
    rates, weight_decay = (0.02, 0.004), 0.01


def idx(name):
    raw = gzip.open(os.path.join(a.data, folder, name)).read()
    rank = raw[3]
    dims = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(dims).copy())


def images(name):
    return idx(name).float().div(255).unsqueeze(1)


x_train, y_train = images("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz").long()
x_test, y_test = images("t10k-images-idx3-ubyte.gz"), idx("t10k-labels-idx1-ubyte.gz").long()

net = net.to(memory_format=torch.channels_last)
matrices = [p for p in net.parameters() if p.dim() == 2]
others = [p for p in net.parameters() if p.dim() != 2]
optimizers = [torch.optim.Muon(matrices, lr=rates[0], momentum=0.95, nesterov=True, weight_decay=weight_decay),
              torch.optim.AdamW(others, lr=rates[1], weight_decay=weight_decay)]
steps = -(-len(x_train) // batch)
schedules = [torch.optim.lr_scheduler.OneCycleLR(o, max_lr=o.param_groups[0]["lr"], total_steps=steps * epochs, cycle_momentum=False)
             for o in optimizers]


def augmented(x):
    """Pictures moved by some pixels at most, black around them; half of them mirrored, where the recipe says so."""
    n = len(x)
    if flipped:
        x = torch.where((torch.rand(n) < 0.5).view(-1, 1, 1, 1), x.flip(3), x)
    x = F.pad(x, (moved,) * 4)
    rows = torch.randint(2 * moved + 1, (n, 1, 1)) + torch.arange(28).view(1, 28, 1)
    columns = torch.randint(2 * moved + 1, (n, 1, 1)) + torch.arange(28).view(1, 1, 28)
    return x[torch.arange(n).view(n, 1, 1), 0, rows, columns].unsqueeze(1)


def test():
    net.eval()
    with torch.no_grad():
        right = sum((net(x_test[i:i + 500].to(memory_format=torch.channels_last)).argmax(1) == y_test[i:i + 500]).sum().item()
                    for i in range(0, len(x_test), 500))
    net.train()
    return right / len(x_test)


start = time.time()
for epoch in range(1, (a.stop_after or epochs) + 1):
    order, total = torch.randperm(len(x_train)), 0.0
    for rows in order.split(batch):
        x = augmented(x_train[rows]).to(memory_format=torch.channels_last)
        loss = F.cross_entropy(net(x), y_train[rows], label_smoothing=smoothing)
        for o in optimizers:
            o.zero_grad()
        loss.backward()
        for o, s in zip(optimizers, schedules):
            o.step()
            s.step()
        total += loss.item()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"name": a.name, "seed": a.seed, "epoch": epoch, "loss": round(total / steps, 4), "test_accuracy": test(),
                      "seconds": round(time.time() - start, 1), "processor_seconds": round(used.ru_utime + used.ru_stime, 1)}), flush=True)
