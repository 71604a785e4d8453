"""What a recipe means, in PyTorch: the network, its loss, its optimizer and its training loop.

Everything here follows the recipe's words and nothing else, so that it can be read as the definition the Rust code is held to.
A recipe is the dictionary `tomllib` makes of the TOML text; parameters are a list of [weight, bias or None], one entry per layer
that has parameters, in PyTorch's layout.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

PARAMETER_LAYERS = ("dense", "conv2d")

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": lambda z: F.gelu(z, approximate="none"),
    "silu": F.silu,
    "softmax": lambda z: F.softmax(z, dim=1),
}


def pair(value):
    """A size given once stands for both directions: height, width."""
    return tuple(value) if isinstance(value, list) else (value, value)


def output_size(size, kernel, stride, padding):
    """One spatial size after a convolution or pool."""
    return -(-size // stride) if padding == "same" else (size - kernel) // stride + 1


def pad_same(images, kernel, stride):
    """Zero padding for an output of ceil(input / stride); an odd pixel goes to the bottom and the right, as in TensorFlow."""
    amounts = []
    for size, k, s in zip(images.shape[2:], kernel, stride):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        amounts.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = amounts
    return F.pad(images, (left, right, top, bottom))


def parameter_shapes(recipe):
    """The (weight shape, bias length or None) of every layer with parameters, from the recipe alone."""
    shapes = []
    size = list(recipe["model"]["input"])
    size = [size[2], size[0], size[1]] if len(size) == 3 else size  # height, width, channels -> channels first
    for layer in recipe["model"]["layers"]:
        stride = pair(layer.get("stride", 1))
        if "dense" in layer:
            shapes.append(((layer["dense"], math.prod(size)), layer["dense"] if layer.get("bias", True) else None))
            size = [layer["dense"]]
        elif "conv2d" in layer:
            kernel, filters = pair(layer["kernel"]), layer["conv2d"]
            shapes.append(((filters, size[0], *kernel), filters if layer.get("bias", True) else None))
            size = [filters] + [output_size(n, k, s, layer.get("padding", "valid")) for n, k, s in zip(size[1:], kernel, stride)]
        elif "max_pool" in layer or "average_pool" in layer:
            window = pair(layer.get("max_pool", layer.get("average_pool")))
            stride = pair(layer.get("stride", list(window)))
            size = [size[0]] + [output_size(n, k, s, "valid") for n, k, s in zip(size[1:], window, stride)]
        elif "global_average_pool" in layer:
            size = [size[0]]
        elif "flatten" in layer:
            size = [math.prod(size)]
    return shapes


def forward(recipe, parameters, x):
    """The outputs of the last layer for a batch; images arrive as in the file, (N, height, width, channels)."""
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
    remaining = iter(parameters)
    for layer in recipe["model"]["layers"]:
        if "dense" in layer:
            weight, bias = next(remaining)
            x = F.linear(x.flatten(1), weight, bias)  # an image is flattened channel by channel, as PyTorch does
        elif "conv2d" in layer:
            weight, bias = next(remaining)
            stride = pair(layer.get("stride", 1))
            if layer.get("padding", "valid") == "same":
                x = pad_same(x, weight.shape[2:], stride)
            x = F.conv2d(x, weight, bias, stride=stride)
        elif "max_pool" in layer:
            x = F.max_pool2d(x, pair(layer["max_pool"]), pair(layer.get("stride", layer["max_pool"])))
        elif "average_pool" in layer:
            x = F.avg_pool2d(x, pair(layer["average_pool"]), pair(layer.get("stride", layer["average_pool"])))
        elif "global_average_pool" in layer:
            x = x.mean(dim=(2, 3))
        elif "flatten" in layer:
            x = x.flatten(1)
        elif set(layer) != {"activation"}:
            raise ValueError(f"unknown layer {layer}")
        x = ACTIVATIONS[layer.get("activation", "linear")](x)
    return x


def targets_for(loss, outputs, y):
    """Targets in the shape of the outputs: class labels become one-hot rows, or 0 and 1 where there is a single output."""
    if y.ndim == 2:
        return y.to(outputs.dtype)
    if outputs.shape[1] == 1:
        return y[:, None].to(outputs.dtype)
    return F.one_hot(y, outputs.shape[1]).to(outputs.dtype)


def loss_of(recipe, parameters, x, y):
    """The loss of one batch: the mean over its examples (and outputs), plus l2 * sum(w^2) over all weights, never biases."""
    outputs = forward(recipe, parameters, x)
    kind = recipe["model"]["loss"]
    targets = targets_for(kind, outputs, y)
    if kind == "softmax_cross_entropy":
        loss = -(targets * F.log_softmax(outputs, dim=1)).sum(dim=1).mean()
    elif kind == "mse":
        loss = F.mse_loss(outputs, targets)
    elif kind == "half_mse":
        loss = F.mse_loss(outputs, targets) / 2
    elif kind == "binary_cross_entropy":
        loss = F.binary_cross_entropy(outputs, targets)
    else:
        raise ValueError(f"unknown loss {kind}")
    l2 = recipe["optimizer"].get("l2", 0.0)
    return loss + l2 * sum((weight**2).sum() for weight, _ in parameters) if l2 else loss


def tensors(parameters, dtype):
    """Leaf tensors of the given type from a list of NumPy [weight, bias or None]."""
    return [[None if a is None else torch.tensor(a, dtype=dtype, requires_grad=True) for a in layer] for layer in parameters]


def flat(parameters):
    """Every tensor that exists, in order: weight, bias, weight, bias, ..."""
    return [a for layer in parameters for a in layer if a is not None]


def rounded(value, dtype):
    """A hyperparameter as a program that keeps it in this type has it."""
    return float(np.float32(value)) if dtype == torch.float32 else value


def make_optimizer(recipe, parameters, dtype):
    """PyTorch's own optimizer for the recipe's [optimizer]; keys left out have PyTorch's defaults."""
    spec = {k: rounded(v, dtype) if isinstance(v, float) else v for k, v in recipe["optimizer"].items()}
    kind, rate, decay = spec["kind"], spec["learning_rate"], spec.get("weight_decay")
    if kind == "sgd":
        return torch.optim.SGD(
            flat(parameters), lr=rate, momentum=spec.get("momentum", 0.0), nesterov=spec.get("nesterov", False), weight_decay=decay or 0.0
        )
    betas = (spec.get("beta1", rounded(0.9, dtype)), spec.get("beta2", rounded(0.999, dtype)))
    epsilon = spec.get("epsilon", rounded(1e-8, dtype))
    if kind == "adam":
        return torch.optim.Adam(flat(parameters), lr=rate, betas=betas, eps=epsilon, weight_decay=decay or 0.0)
    if kind == "adamw":
        return torch.optim.AdamW(flat(parameters), lr=rate, betas=betas, eps=epsilon, weight_decay=0.01 if decay is None else decay)
    raise ValueError(f"unknown optimizer {kind}")


def learning_rate(recipe, epoch, step):
    """The learning rate of one step; epochs and steps count from 0, and warm-up multiplies what the schedule says."""
    schedule, base, epochs = recipe.get("schedule", {}), recipe["optimizer"]["learning_rate"], recipe["train"]["epochs"]
    kind = schedule.get("kind", "constant")
    if kind == "constant":
        rate = base
    elif kind == "step":
        rate = base * schedule["factor"] ** (epoch // schedule["every"])
    elif kind == "multi_step":
        rate = base * schedule["factor"] ** sum(epoch >= milestone for milestone in schedule["epochs"])
    elif kind == "cosine":
        lowest = schedule.get("min", 0.0)
        rate = lowest + (base - lowest) * (1 + math.cos(math.pi * epoch / epochs)) / 2
    elif kind == "phases":
        ends = np.cumsum([phase["epochs"] for phase in schedule["phases"]])
        rate = schedule["phases"][int(np.searchsorted(ends, epoch, side="right"))]["learning_rate"]
    else:
        raise ValueError(f"unknown schedule {kind}")
    warmup = schedule.get("warmup_steps", 0)
    return rate * min(1.0, (step + 1) / warmup) if warmup else rate


def torch_schedule_rates(recipe):
    """What PyTorch's own scheduler gives per epoch, or None where PyTorch has none; used only to check `learning_rate`."""
    schedule, epochs = recipe.get("schedule", {}), recipe["train"]["epochs"]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe["optimizer"]["learning_rate"])
    kinds = torch.optim.lr_scheduler
    make = {
        "step": lambda: kinds.StepLR(optimizer, schedule["every"], schedule["factor"]),
        "multi_step": lambda: kinds.MultiStepLR(optimizer, schedule["epochs"], schedule["factor"]),
        "cosine": lambda: kinds.CosineAnnealingLR(optimizer, epochs, schedule.get("min", 0.0)),
    }.get(schedule.get("kind"))
    if make is None:
        return None
    scheduler, rates = make(), []
    for _ in range(epochs):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


def batches(recipe, count):
    """The (first row, end row) of every batch of an epoch: consecutive rows, the last one shorter or left out."""
    size = recipe["train"]["batch"]
    size = count if size == "full" else size
    ends = [(first, min(first + size, count)) for first in range(0, count, size)]
    return [b for b in ends if b[1] - b[0] == size] if recipe["train"]["drop_last"] else ends


def train(recipe, initial, x, y, dtype):
    """The whole job. Returns the loss of every step (before its update), the final parameters, the rates, the gradient norms."""
    parameters = tensors(initial, dtype)
    optimizer = make_optimizer(recipe, parameters, dtype)
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y)
    clip = recipe["optimizer"].get("clip_norm")
    losses, rates, norms = [], [], []
    for epoch in range(recipe["train"]["epochs"]):
        for first, end in batches(recipe, len(x)):
            rates.append(rounded(learning_rate(recipe, epoch, len(losses)), dtype))
            optimizer.param_groups[0]["lr"] = rates[-1]
            optimizer.zero_grad()
            loss = loss_of(recipe, parameters, x[first:end], y[first:end])
            loss.backward()
            limit = math.inf if clip is None else rounded(clip, dtype)
            norms.append(float(torch.nn.utils.clip_grad_norm_(flat(parameters), limit)) if clip else math.nan)
            optimizer.step()
            losses.append(float(loss.detach()))
    final = [[None if a is None else a.detach().numpy() for a in layer] for layer in parameters]
    return np.array(losses), final, np.array(rates), np.array(norms)


def first_gradient(recipe, initial, x, y, dtype):
    """The loss and the gradients on the first batch at the initial weights, before clipping and weight decay."""
    first, end = batches(recipe, len(x))[0]
    parameters = tensors(initial, dtype)
    loss = loss_of(recipe, parameters, torch.tensor(x[first:end], dtype=dtype), torch.tensor(y[first:end]))
    loss.backward()
    return float(loss.detach()), [[None if a is None else a.grad.numpy() for a in layer] for layer in parameters]


def central_difference_error(recipe, initial, x, y, gradients, limit=1500):
    """The largest gap between the gradient and central differences in f64, relative to the tensor's largest gradient.

    Every element is tried, or `limit` elements spread evenly over a larger tensor.
    """
    first, end = batches(recipe, len(x))[0]
    x, y = torch.tensor(x[first:end], dtype=torch.float64), torch.tensor(y[first:end])
    parameters = tensors(initial, torch.float64)
    worst, h = 0.0, 1e-6
    with torch.no_grad():
        for tensor, gradient in zip(flat(parameters), flat(gradients)):
            values, exact = tensor.view(-1), gradient.reshape(-1)
            scale = np.abs(exact).max()
            assert scale > 0, "a gradient that is zero everywhere tests nothing"
            for i in range(0, len(values), -(-len(values) // limit)):
                kept = float(values[i])
                values[i] = kept + h
                above = float(loss_of(recipe, parameters, x, y))
                values[i] = kept - h
                below = float(loss_of(recipe, parameters, x, y))
                values[i] = kept
                worst = max(worst, abs((above - below) / (2 * h) - exact[i]) / scale)
    return worst
