"""Tables of activations and their derivatives, and the network with published gradients."""

import math

import numpy as np
import torch

from reference import ACTIVATIONS

# --- activations ------------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def normal_cdf(x):
    """The standard normal distribution; erfc keeps its digits far to the left, where 1 + erf has none."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def sech_squared(x):
    e = math.exp(-2 * abs(x))
    return 4 * e / (1 + e) ** 2


# name -> (value, derivative), each exact to a few roundings of float64 everywhere. At the kink of relu and leaky_relu the
# derivative is PyTorch's: that of the left side.
FORMULAS = {
    "linear": (lambda x: x, lambda x: 1.0),
    "relu": (lambda x: max(x, 0.0), lambda x: 1.0 if x > 0 else 0.0),
    "leaky_relu": (lambda x: x if x > 0 else 0.01 * x, lambda x: 1.0 if x > 0 else 0.01),
    "tanh": (math.tanh, sech_squared),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "gelu": (lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
    "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
}


def points():
    """Where activations are tried: every magnitude of float32 up to 1000, both signs, both zeros, and where exp and tanh break."""
    tiny = [0.0, 1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e-20, 1e-10, 1e-8, 1.1920929e-7, 1e-6, 1e-5, 1e-4, 1e-3]
    breaks = [8.31, 9.01, 10.0, 11.0, 15.0, 16.63, 17.33, 20.0, 43.0, 50.0, 87.0, 87.336, 88.0, 88.72, 88.73, 89.0, 90.0, 103.9, 104.0]
    large = [128.0, 200.0, 256.0, 500.0, 709.0, 710.0, 745.0, 746.0, 999.0, 1000.0]
    dense = np.arange(1, 8 * 32 + 1) / 32  # to 8 in steps of 1/32
    positive = np.unique(np.concatenate([tiny, breaks, large, dense]).astype(np.float32))
    return np.concatenate([-positive[::-1], positive])  # -0.0 and 0.0 are both there


def activation_tables():
    """x (float32 values, stored as float64) and for every activation NAME its value and NAME.grad; softmax works on rows."""
    x = points().astype(np.float64)
    assert np.signbit(x).sum() == len(x) // 2 and (x == 0).sum() == 2
    arrays = {"x": x}
    for name, (value, slope) in FORMULAS.items():
        arrays[name] = np.array([value(v) for v in x])
        arrays[f"{name}.grad"] = np.array([slope(v) for v in x])
        theirs = torch.tensor(x, requires_grad=True)
        out = ACTIVATIONS[name](theirs)
        out.sum().backward()
        np.testing.assert_allclose(arrays[name], out.detach().numpy(), rtol=1e-12, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(arrays[f"{name}.grad"], theirs.grad.numpy(), rtol=1e-12, atol=1e-13, err_msg=name)
        smooth, h = np.abs(x) > 1e-3, 1e-5
        numeric = np.array([(value(v + h) - value(v - h)) / (2 * h) for v in x[smooth]])
        np.testing.assert_allclose(arrays[f"{name}.grad"][smooth], numeric, rtol=1e-8, atol=1e-8, err_msg=name)
    return arrays | softmax_tables()


def softmax_tables():
    """softmax.x (rows), softmax.dy (what arrives from above), softmax (the outputs) and softmax.dx (what goes below)."""
    random = np.random.RandomState(7)
    rows = random.uniform(-4, 4, (12, 7)).astype(np.float32)
    rows[1] = 0
    rows[2] = 1000
    rows[3] = [-1000, 1000, 0, 88, -88, 15, 999]
    rows[4] = [1000, 1000, -1000, -1000, 1000, 0, 0]
    rows[5] = [-1000] * 7
    rows[6] *= 30
    rows[7] += 500
    x, dy = rows.astype(np.float64), np.round(random.uniform(-1, 1, rows.shape) * 64) / 64
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    dx = y * (dy - (y * dy).sum(axis=1, keepdims=True))
    theirs = torch.tensor(x, requires_grad=True)
    out = ACTIVATIONS["softmax"](theirs)
    out.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, out.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dx, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)
    return {"softmax.x": x, "softmax.dy": dy, "softmax": y, "softmax.dx": dx}


# --- the published network --------------------------------------------------------------------------------------------------

PUBLISHED_RECIPE = """\
# Two inputs, three sigmoid units, one sigmoid output: a small network whose loss and gradients were published.
# Made by make.py; the data and the expected numbers are in the .npz of the same name.

name = "published-sigmoid"
seed = 0
precision = "f32"

[data]
scale = "none"

[model]
input = [2]
layers = [
  { dense = 3, activation = "sigmoid" },
  { dense = 1, activation = "sigmoid" },
]
loss = "half_mse"

[optimizer]
kind = "sgd"
learning_rate = 0.5

[train]
epochs = 200
batch = "full"
shuffle = false
drop_last = false
log_every = 1
"""


def published_network():
    """x, y and the initial parameters in float64, drawn as published; checks with plain NumPy that they give its numbers."""
    random = np.random.RandomState(0)  # the same stream as numpy.random.seed(0)
    w1, b1, w2, b2 = random.randn(3, 2), np.zeros(3), random.randn(3), np.zeros(1)
    x, y = random.rand(1000, 2), random.randint(0, 2, 1000)

    hidden = 1 / (1 + np.exp(-(x @ w1.T + b1)))
    output = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    loss = ((output - y) ** 2).mean() / 2
    d_output = (output - y) * output * (1 - output) / len(x)
    d_hidden = np.outer(d_output, w2) * hidden * (1 - hidden)
    assert abs(loss - 0.1332476222330792) < 1e-15, loss
    published = [
        (d_hidden.T @ x, [[0.00244596, 0.00262019], [-0.00030765, -0.00024188], [-0.00034768, -0.000372]]),
        (d_hidden.sum(axis=0), [0.00492577, -0.00058023, -0.00065977]),
        (d_output @ hidden, [0.02216011, 0.02433097, 0.01797174]),
    ]
    for computed, printed in published:
        assert (np.round(computed, 8) == np.array(printed)).all(), computed
    assert abs(d_output.sum() - 0.029249230265318685) < 1e-16, d_output.sum()
    return x, y[:, None].astype(np.float64), [[w1, b1], [w2[None, :], b2]]
