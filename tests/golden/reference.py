"""What a recipe means, in PyTorch: the network, its loss, its optimizer and its training loop.

Everything here follows the recipe's words and nothing else, so that it can be read as the definition the Rust code is held to.
A recipe is the dictionary `tomllib` makes of the TOML text; parameters are a list of [weight, bias or None], one entry per layer
that has parameters, in PyTorch's layout. A residual block's layers come in the order residual, shortcut. Statistics are a list of
[running mean, running variance], one entry per batch norm, which training changes in place.
"""

import math
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": lambda z: F.gelu(z, approximate="none"),
    "silu": F.silu,
    "softmax": lambda z: F.softmax(z, dim=1),
    "elu": F.elu,
    "softplus": F.softplus,
    "hard_swish": F.hardswish,
    "mish": F.mish,
    "relu6": F.relu6,
}


def pair(value):
    """A size given once stands for both directions: height, width."""
    return tuple(value) if isinstance(value, list) else (value, value)


def pad_same(images, kernel, stride, value=0.0):
    """Padding, with zeros unless told otherwise, for an output of ceil(input / stride); an odd pixel goes to the bottom and the right, as in TensorFlow."""
    amounts = []
    for size, k, s in zip(images.shape[2:], kernel, stride):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        amounts.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = amounts
    return F.pad(images, (left, right, top, bottom), value=value)


def pixels(padding):
    """Rows and columns of padding on all sides; `same` is padded before."""
    return (0, 0) if isinstance(padding, str) else pair(padding)


def added(values):
    """The sum of values of one shape: nothing is broadcast."""
    if any(value.shape != values[0].shape for value in values):
        raise ValueError("only values of one shape are added")
    return sum(values)


def window(layer, kind):
    """Size, stride and padding of a pool."""
    size = pair(layer[kind])
    return size, pair(layer.get("stride", layer[kind])), layer.get("padding", "valid")


def transpose_same(images, weight, bias, stride, groups, dilation):
    """The transpose of a convolution with padding `same` over an image stride times as large, by what defines it: the gradient."""
    size = [n * s for n, s in zip(images.shape[2:], stride)]
    channels = weight.shape[1] * groups
    extents = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    larger = torch.zeros(images.shape[0], channels, *size, dtype=images.dtype, requires_grad=True)
    with torch.enable_grad():
        smaller = F.conv2d(pad_same(larger, extents, stride), weight, None, stride, 0, dilation, groups)
        (spread,) = torch.autograd.grad(smaller, larger, images, create_graph=True)
    return spread if bias is None else spread + bias[None, :, None, None]


LOSS_SCALE = 65536.0  # of mixed precision: what the gradient at the outputs is multiplied by, so that f16 holds what becomes of it


def to_f16(tensor):
    """The same numbers, rounded to f16 and no longer."""
    return tensor.to(torch.float16).to(tensor.dtype)


def is_rounded(rows, others):
    """Whether a convolution's product rounds its factors: not where matrices of 16 x 16 would mostly be padding."""
    return -(-rows // 16) * 16 * -(-others // 16) * 16 <= 2 * rows * others


class MixedConvolution(torch.autograd.Function):
    """A convolution whose three products each round their two factors to f16, or not: see `is_rounded`. The other way round it is a
    transposed convolution."""

    @staticmethod
    def forward(ctx, x, weight, bias, transposed, *shape):
        ctx.save_for_backward(x, weight)
        ctx.transposed, ctx.shape = transposed, shape
        y = MixedConvolution.spread(x, weight, shape, None) if transposed else MixedConvolution.narrow(x, weight, shape)
        return y if bias is None else y + bias[None, :, None, None]

    @staticmethod
    def narrow(x, weight, shape):
        stride, padding, dilation, groups = shape
        filters, taps = weight.shape[0] // groups, weight[0].numel()
        x, weight = (to_f16(x), to_f16(weight)) if is_rounded(filters, taps) else (x, weight)
        return F.conv2d(x, weight, None, stride, padding, dilation, groups)

    @staticmethod
    def spread(y, weight, shape, size):
        stride, padding, dilation, groups = shape
        channels, others = weight.shape[1], weight.shape[0] // groups * weight[0, 0].numel()
        y, weight = (to_f16(y), to_f16(weight)) if is_rounded(channels, others) else (y, weight)
        if size is None:
            return F.conv_transpose2d(y, weight, None, stride, padding, 0, groups, dilation)
        return torch.nn.grad.conv2d_input(size, weight, y, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx, gradient):
        (x, weight), shape = ctx.saved_tensors, ctx.shape
        stride, padding, dilation, groups = shape
        larger, smaller = (gradient, x) if ctx.transposed else (x, gradient)
        rounds = is_rounded(weight.shape[0] // groups, weight[0].numel())
        if rounds:
            larger, smaller = to_f16(larger), to_f16(smaller)
        of_weight = torch.nn.grad.conv2d_weight(larger, weight.shape, smaller, stride, padding, dilation, groups)
        # A convolution's biases are the sums of the rows of its gradients, as they are multiplied; a transposed one's are not.
        of_bias = (gradient if ctx.transposed else smaller).sum(dim=(0, 2, 3)) if ctx.needs_input_grad[2] else None
        if ctx.transposed:
            of_x = MixedConvolution.narrow(gradient, weight, shape)
        else:
            of_x = MixedConvolution.spread(gradient, weight, shape, x.shape)
        return of_x, of_weight, of_bias, None, None, None, None, None


class MixedDense(torch.autograd.Function):
    """A dense layer whose three products round their two factors to f16."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.linear(to_f16(x), to_f16(weight), bias)

    @staticmethod
    def backward(ctx, gradient):
        (x, weight), gradient = ctx.saved_tensors, to_f16(gradient)
        return gradient @ to_f16(weight), gradient.T @ to_f16(x), gradient.sum(dim=0) if ctx.needs_input_grad[2] else None


class Network:
    """The layers of a recipe, applied to a batch. `take(layer, weight shape, bias shape or None)` gives a layer's parameters.

    Batch norms take the batch's own mean and variance with `training`, and move `statistics` on where there are any; without they
    take those.
    """

    def __init__(self, recipe, take, statistics=None, training=True):
        self.layers, self.take, self.training = recipe["model"]["layers"], take, training
        self.statistics = iter(statistics) if statistics is not None else None
        self.mixed = recipe.get("precision") == "mixed"

    def __call__(self, x):
        """The outputs of the last layer; images arrive as in the file, (N, height, width, channels)."""
        if x.ndim == 4:
            x = x.permute(0, 3, 1, 2)
        self.named = {"input": x}
        return self.chain(self.layers, x)

    def chain(self, layers, x):
        for layer in layers:
            x = ACTIVATIONS[layer.get("activation", "linear")](self.apply(layer, self.named[layer["from"]] if "from" in layer else x))
            if "name" in layer:
                self.named[layer["name"]] = x
        return x

    def apply(self, layer, x):
        if "dense" in layer:
            x = x.flatten(1)  # an image is flattened channel by channel, as PyTorch does
            weight, bias = self.parameters(layer, (layer["dense"], x.shape[1]))
            return MixedDense.apply(x, weight, bias) if self.mixed else F.linear(x, weight, bias)
        if "conv2d" in layer:
            kernel, stride, dilation = (pair(layer.get(key, 1)) for key in ("kernel", "stride", "dilation"))
            groups, padding = layer.get("groups", 1), layer.get("padding", "valid")
            weight, bias = self.parameters(layer, (layer["conv2d"], x.shape[1] // groups, *kernel))
            if padding == "same":
                x = pad_same(x, [(k - 1) * d + 1 for k, d in zip(kernel, dilation)], stride)
            if self.mixed:
                return MixedConvolution.apply(x, weight, bias, False, stride, pixels(padding), dilation, groups)
            return F.conv2d(x, weight, bias, stride, pixels(padding), dilation, groups)
        if "conv2d_transpose" in layer:
            kernel, stride, dilation = (pair(layer.get(key, 1)) for key in ("kernel", "stride", "dilation"))
            groups, filters, padding = layer.get("groups", 1), layer["conv2d_transpose"], layer.get("padding", "valid")
            biases = (filters,) if layer.get("bias", True) else None
            weight, bias = self.take(layer, (x.shape[1], filters // groups, *kernel), biases)
            if self.mixed and (padding == "same" or "output_padding" in layer):
                raise ValueError("no case trains such a transposed convolution in mixed precision")
            if self.mixed:
                return MixedConvolution.apply(x, weight, bias, True, stride, pixels(padding), dilation, groups)
            if padding != "same":
                extra = pair(layer.get("output_padding", 0))
                return F.conv_transpose2d(x, weight, bias, stride, pixels(padding), extra, groups, dilation)
            return transpose_same(x, weight, bias, stride, groups, dilation)
        if "batch_norm" in layer:
            weight, bias = self.take(layer, (x.shape[1],), (x.shape[1],))
            mean, variance = next(self.statistics) if self.statistics is not None else (None, None)
            momentum, epsilon = (float(np.float32(layer.get(key, default))) for key, default in (("momentum", 0.1), ("epsilon", 1e-5)))
            return F.batch_norm(x, mean, variance, weight, bias, self.training, momentum, epsilon)
        if "layer_norm" in layer:
            weight, bias = self.take(layer, tuple(x.shape[1:]), tuple(x.shape[1:]))
            return F.layer_norm(x, x.shape[1:], weight, bias, float(np.float32(layer.get("epsilon", 1e-5))))
        if "group_norm" in layer:
            weight, bias = self.take(layer, (x.shape[1],), (x.shape[1],))
            return F.group_norm(x, layer["group_norm"], weight, bias, float(np.float32(layer.get("epsilon", 1e-5))))
        if "max_pool" in layer:
            size, stride, padding = window(layer, "max_pool")
            if padding == "same":
                x = pad_same(x, size, stride, -math.inf)
            return F.max_pool2d(x, size, stride, pixels(padding))
        if "average_pool" in layer:
            size, stride, padding = window(layer, "average_pool")
            if padding == "same":  # the mean of the pixels that a window has
                present = pad_same(torch.ones_like(x), size, stride)
                return F.avg_pool2d(pad_same(x, size, stride), size, stride) / F.avg_pool2d(present, size, stride)
            return F.avg_pool2d(x, size, stride, pixels(padding), count_include_pad=False)
        if "global_average_pool" in layer:
            return x.mean(dim=(2, 3))
        if "global_max_pool" in layer:
            return F.max_pool2d(x, x.shape[2:]).flatten(1)
        if "upsample" in layer:
            return F.interpolate(x, scale_factor=pair(layer["upsample"]), mode="nearest")
        if "embedding" in layer:
            weight, _ = self.take(layer, (layer["levels"], layer["embedding"]), None)
            first = x.shape[1] - layer.get("categories", x.shape[1])
            levels = x[:, first:].long()
            known = F.embedding(levels.clamp(min=0), weight) * (levels >= 0)[:, :, None]
            return torch.cat([x[:, :first], known.flatten(1)], dim=1)
        if "flatten" in layer:
            return x.flatten(1)
        if "reshape" in layer:
            height, width, channels = layer["reshape"]
            return x.reshape(-1, channels, height, width)
        if "add" in layer:
            return added([self.named[name] for name in layer["add"]])
        if "concat" in layer:
            return torch.cat([self.named[name] for name in layer["concat"]], dim=1)
        if "residual" in layer:
            return added([self.chain(layer["residual"], x), self.chain(layer.get("shortcut", []), x)])
        if set(layer) - {"name", "from"} != {"activation"}:
            raise ValueError(f"unknown layer {layer}")
        return x

    def parameters(self, layer, shape):
        return self.take(layer, shape, shape[:1] if layer.get("bias", True) else None)


def parameter_shapes(recipe):
    """(name, weight shape, bias shape or None, whether the weight scales) of every layer with parameters, from the recipe alone."""
    shapes = []

    def take(layer, weight, bias):
        scales = any(norm in layer for norm in ("layer_norm", "group_norm", "batch_norm"))
        shapes.append((layer.get("name", f"layers.{len(shapes)}"), weight, bias, scales))
        return torch.zeros(weight), None if bias is None else torch.zeros(bias)

    Network(recipe, take)(torch.zeros(2, *recipe["model"]["input"]))
    return shapes


def statistic_shapes(recipe):
    """(name, shape) of every batch norm, from the recipe alone."""
    found, names = [], iter(parameter_shapes(recipe))

    def take(layer, weight, bias):
        name = next(names)[0]
        if "batch_norm" in layer:
            found.append((name, weight))
        return torch.zeros(weight), None if bias is None else torch.zeros(bias)

    Network(recipe, take)(torch.zeros(2, *recipe["model"]["input"]))
    return found


def forward(recipe, parameters, x, statistics=None, training=True):
    """The outputs of the last layer for a batch."""
    remaining = iter(parameters)
    return Network(recipe, lambda *_: next(remaining), statistics, training)(x)


def targets_for(loss, outputs, y):
    """Targets in the shape of the outputs: class labels become one-hot rows, or 0 and 1 where there is a single output."""
    if y.ndim == 2:
        return y.to(outputs.dtype)
    if outputs.shape[1] == 1:
        return y[:, None].to(outputs.dtype)
    return F.one_hot(y, outputs.shape[1]).to(outputs.dtype)


def class_weights(recipe, y):
    """A weight for each class; `y` are the labels of all examples."""
    named, counts = recipe["data"]["class_weights"], np.bincount(y)
    if named == "balanced":
        return [float(np.float32(len(y) / ((counts > 0).sum() * count))) if count else 0.0 for count in counts]
    return named if isinstance(named, list) else [named.get(str(c), 1.0) for c in range(len(counts))]


def example_weights(recipe, y, sample=None):
    """A weight for each example, or None: those of the classes times those of the examples."""
    if "class_weights" not in recipe["data"]:
        return sample
    of_class = np.array(class_weights(recipe, y))[y]
    return np.float32(of_class if sample is None else of_class * sample)  # as a program keeps them


WORD = 0xFFFFFFFF


def mix(value):
    """A mixer of 32 bits (lowbias32 by Chris Wellons)."""
    value = ((value ^ value >> 16) * 0x7FEB352D) & WORD
    value = ((value ^ value >> 15) * 0x846CA68B) & WORD
    return value ^ value >> 16


def combine(*words):
    """The hash of a word, with further ones mixed in."""
    value, *words = words
    for word in words:
        value = mix(value ^ mix((word + 0x9E3779B9) & WORD))
    return value


def mixup_share(recipe, epoch, batch):
    """The share of the other examples in a batch, or None: one of 4096 quantiles of Beta(A, A), which a hash picks."""
    if "augment" not in recipe:
        return None
    from scipy.stats import beta

    seed = recipe["seed"]
    number = combine(int.from_bytes(b"mixu", "big"), combine(seed >> 32, seed & WORD), epoch, batch) >> 20
    strength = float(np.float32(recipe["augment"]["mixup"]))
    return float(np.float32(beta.ppf((number + 0.5) / 4096, strength, strength)))


def mixed(values, share):
    """Each row of a batch with the one before it, the first with the last: as torchvision's MixUp."""
    return values + share * (values.roll(1, 0) - values)


def loss_of(recipe, parameters, x, y, statistics=None, training=True, weights_of_rows=None, share=None):
    """The loss of one batch: the mean over its examples (and outputs), plus l2 * sum(w^2) over all weights, never biases.

    With weights of rows the mean over the examples is sum(w * loss) / sum(w), as in PyTorch where a class has the weight. With a
    share the batch is mixed: a cross entropy is that of both targets, other targets are mixed themselves.
    """
    outputs = forward(recipe, parameters, x if share is None else mixed(x, share), statistics, training)
    kind, rows = recipe["model"]["loss"], weights_of_rows
    targets = targets_for(kind, outputs, y)
    if share is None:
        loss = mean_loss(recipe, outputs, targets, rows)
    elif kind in ("softmax_cross_entropy", "binary_cross_entropy"):
        own, other = mean_loss(recipe, outputs, targets, rows), mean_loss(
            recipe, outputs, targets.roll(1, 0), None if rows is None else rows.roll(1, 0))
        loss = (1 - share) * own + share * other
    else:
        loss = mean_loss(recipe, outputs, mixed(targets, share), None if rows is None else mixed(rows, share))
    l2 = recipe["optimizer"].get("l2", 0.0)
    return loss + l2 * sum((weight**2).sum() for weight in weights(recipe, parameters)) if l2 else loss


def mean_loss(recipe, outputs, targets, weights_of_rows):
    """The mean over the examples (and outputs), or sum(w * loss) / sum(w)."""
    kind = recipe["model"]["loss"]
    if weights_of_rows is not None:
        mean, functions = F.cross_entropy, {"softmax_cross_entropy": F.cross_entropy, "mse": F.mse_loss,
                                            "binary_cross_entropy": F.binary_cross_entropy}
        more = {"label_smoothing": recipe["model"].get("label_smoothing", 0.0)} if functions[kind] is mean else {}
        each = functions[kind](outputs, targets, reduction="none", **more)
        each = each if each.ndim == 1 else each.mean(dim=1)
        loss = (weights_of_rows * each).sum() / weights_of_rows.sum()
    elif kind == "softmax_cross_entropy":
        loss = F.cross_entropy(outputs, targets, label_smoothing=recipe["model"].get("label_smoothing", 0.0))
    elif kind == "mse":
        loss = F.mse_loss(outputs, targets)
    elif kind == "half_mse":
        loss = F.mse_loss(outputs, targets) / 2
    elif kind == "mae":
        loss = F.l1_loss(outputs, targets)
    elif kind == "huber":
        loss = F.huber_loss(outputs, targets, delta=recipe["model"].get("delta", 1.0))
    elif kind == "binary_cross_entropy":
        loss = F.binary_cross_entropy(outputs, targets)
    else:
        raise ValueError(f"unknown loss {kind}")
    return loss


def weights(recipe, parameters):
    """The tensors that multiply inputs and add them up: neither biases nor the scales of norms."""
    return [weight for (*_, scales), (weight, _) in zip(parameter_shapes(recipe), parameters, strict=True) if not scales]


def tensors(parameters, dtype):
    """Leaf tensors of the given type from a list of NumPy [weight, bias or None]."""
    return [[None if a is None else torch.tensor(a, dtype=dtype, requires_grad=True) for a in layer] for layer in parameters]


def flat(parameters):
    """Every tensor that exists, in order: weight, bias, weight, bias, ..."""
    return [a for layer in parameters for a in layer if a is not None]


def rounded(value, dtype):
    """A hyperparameter as a program that keeps it in this type has it."""
    return float(np.float32(value)) if dtype == torch.float32 else value


def others_than(some, arrays):
    """Those arrays that are not among some."""
    return [a for a in arrays if not any(a is other for other in some)]


def make_optimizer(recipe, parameters, dtype):
    """PyTorch's own optimizer for the recipe's [optimizer]; keys left out have PyTorch's defaults."""
    spec = {k: rounded(v, dtype) if isinstance(v, float) else v for k, v in recipe["optimizer"].items()}
    kind, rate, decay = spec["kind"], spec["learning_rate"], spec.get("weight_decay")
    taken = flat(parameters)
    if not spec.get("decay_bias", True):
        decaying = weights(recipe, parameters)
        others = others_than(decaying, taken)
        taken = [{"params": decaying}, {"params": others, "weight_decay": 0.0}]
    if kind == "sgd":
        return torch.optim.SGD(
            taken, lr=rate, momentum=spec.get("momentum", 0.0), nesterov=spec.get("nesterov", False), weight_decay=decay or 0.0
        )
    if kind == "rmsprop":
        return torch.optim.RMSprop(
            taken, lr=rate, alpha=spec.get("alpha", rounded(0.99, dtype)), eps=spec.get("epsilon", rounded(1e-8, dtype)),
            weight_decay=decay or 0.0, momentum=spec.get("momentum", 0.0), centered=spec.get("centered", False)
        )
    betas = (spec.get("beta1", rounded(0.9, dtype)), spec.get("beta2", rounded(0.99 if kind == "lion" else 0.999, dtype)))
    if kind == "lion":
        return Lion(taken, rate, betas, decay or 0.0)
    epsilon = spec.get("epsilon", rounded(1e-8, dtype))
    if kind == "muon":
        decay = rounded(0.1, dtype) if decay is None else decay
        groups = weights(recipe, parameters), others_than(weights(recipe, parameters), flat(parameters))
        muon = {"lr": rate, "weight_decay": decay, "momentum": spec.get("momentum", rounded(0.95, dtype))}
        muon |= {key: spec[key] for key in ("nesterov", "ns_steps", "adjust_lr_fn") if key in spec}
        adam_rate = spec.get("adam_learning_rate", rounded(0.001, dtype))
        adam = {"lr": adam_rate, "betas": betas, "eps": epsilon, "weight_decay": decay if spec.get("decay_bias", True) else 0.0}
        return Muon(groups, muon, adam)
    if kind == "adam":
        return torch.optim.Adam(taken, lr=rate, betas=betas, eps=epsilon, weight_decay=decay or 0.0)
    if kind == "adamw":
        return torch.optim.AdamW(taken, lr=rate, betas=betas, eps=epsilon, weight_decay=0.01 if decay is None else decay)
    raise ValueError(f"unknown optimizer {kind}")


def steps_per_epoch(recipe, count):
    """Updates of an epoch: each takes `accumulate` batches, the last one what is left."""
    return -(-len(batches(recipe, count)) // recipe["train"].get("accumulate", 1))


def warmup_steps(schedule, per_epoch):
    """Steps of a warm-up, also of one that is counted in epochs: halves are rounded up."""
    return schedule.get("warmup_steps", math.floor(schedule.get("warmup_epochs", 0) * per_epoch + 0.5))


def learning_rate(recipe, epoch, step, per_epoch):
    """The learning rate of one step; epochs and steps count from 0, and warm-up multiplies what the schedule says."""
    schedule, base, epochs = recipe.get("schedule", {}), recipe["optimizer"]["learning_rate"], recipe["train"]["epochs"]
    kind = schedule.get("kind", "constant")
    by_step = schedule.get("by", "step" if kind == "one_cycle" else "epoch") == "step"
    place, end = (step, epochs * per_epoch) if by_step else (epoch, epochs)
    if kind == "constant":
        rate = base
    elif kind == "step":
        rate = base * schedule["factor"] ** (epoch // schedule["every"])
    elif kind == "multi_step":
        rate = base * schedule["factor"] ** sum(epoch >= milestone for milestone in schedule["epochs"])
    elif kind == "cosine":
        lowest = schedule.get("min", 0.0)
        rate = lowest + (base - lowest) * (1 + math.cos(math.pi * place / end)) / 2
    elif kind == "one_cycle":
        first = base / schedule.get("div_factor", 25.0)
        last, top = first / schedule.get("final_div_factor", 1e4), schedule.get("pct_start", 0.3) * end - 1
        a, b, part = (first, base, place / top) if place <= top else (base, last, (place - top) / (end - 1 - top))
        linear = schedule.get("anneal", "cos") == "linear"
        rate = a + (b - a) * part if linear else b + (a - b) / 2 * (1 + math.cos(math.pi * part))
    elif kind == "phases":
        ends = np.cumsum([phase["epochs"] for phase in schedule["phases"]])
        rate = schedule["phases"][int(np.searchsorted(ends, epoch, side="right"))]["learning_rate"]
    else:
        raise ValueError(f"unknown schedule {kind}")
    warmup = warmup_steps(schedule, per_epoch)
    return rate * min(1.0, (step + 1) / warmup) if warmup else rate


def torch_schedule_rates(recipe, per_epoch):
    """What PyTorch's own scheduler gives per step, or None where PyTorch has none; used only to check `learning_rate`."""
    schedule, epochs = recipe.get("schedule", {}), recipe["train"]["epochs"]
    base, kind = recipe["optimizer"]["learning_rate"], schedule.get("kind")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    kinds = torch.optim.lr_scheduler
    by_step = schedule.get("by", "step" if kind == "one_cycle" else "epoch") == "step"
    places = epochs * per_epoch if by_step else epochs
    make = {
        "step": lambda: kinds.StepLR(optimizer, schedule["every"], schedule["factor"]),
        "multi_step": lambda: kinds.MultiStepLR(optimizer, schedule["epochs"], schedule["factor"]),
        "cosine": lambda: kinds.CosineAnnealingLR(optimizer, places, schedule.get("min", 0.0)),
        "one_cycle": lambda: kinds.OneCycleLR(
            optimizer, base, total_steps=places, cycle_momentum=False, anneal_strategy=schedule.get("anneal", "cos"),
            **{key: schedule[key] for key in ("pct_start", "div_factor", "final_div_factor") if key in schedule}
        ),
    }.get(kind)
    if make is None:
        return None
    scheduler, rates = make(), []
    for place in range(places):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if place + 1 < places:
            scheduler.step()
    return np.array(rates) if by_step else np.repeat(rates, per_epoch)


class Muon(torch.optim.Optimizer):
    """torch.optim.Muon on weights, seen as matrices of outputs by all that one of them sees, and torch.optim.AdamW on all else.

    PyTorch's iteration of Newton and Schulz computes in bfloat16 whatever the weights are. Here that word means the type of the
    weights while it runs; all else of it is PyTorch's own.
    """

    def __init__(self, groups, muon, adam):
        weights, others = groups
        super().__init__([*weights, *others], {"lr": muon["lr"]})
        self.pairs = [(weight, weight.detach().flatten(1)) for weight in weights]
        self.adam_factor = adam["lr"] / muon["lr"]
        self.muon = torch.optim.Muon([matrix for _, matrix in self.pairs], **muon)
        self.adam = torch.optim.AdamW(others, **adam)

    @torch.no_grad()
    def step(self):
        rate = self.param_groups[0]["lr"]
        self.muon.param_groups[0]["lr"], self.adam.param_groups[0]["lr"] = rate, rate * self.adam_factor
        for weight, matrix in self.pairs:
            assert matrix.data_ptr() == weight.data_ptr()
            matrix.grad = weight.grad.flatten(1)
        with mock.patch.object(torch, "bfloat16", self.pairs[0][0].dtype):
            self.muon.step()
        self.adam.step()


class Lion(torch.optim.Optimizer):
    """Lion as its authors define it (Chen et al., 2023, algorithm 2); PyTorch has none."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            rate, (beta1, beta2), decay = group["lr"], group["betas"], group["weight_decay"]
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                direction = torch.sign(beta1 * mean + (1 - beta1) * p.grad)
                p.mul_(1 - rate * decay).sub_(direction, alpha=rate)
                mean.mul_(beta2).add_(p.grad, alpha=1 - beta2)


def batches(recipe, count):
    """The (first row, end row) of every batch of an epoch: consecutive rows, the last one shorter or left out."""
    size = recipe["train"]["batch"]
    size = count if size == "full" else size
    ends = [(first, min(first + size, count)) for first in range(0, count, size)]
    return [b for b in ends if b[1] - b[0] == size] if recipe["train"]["drop_last"] else ends


def train(recipe, initial, x, y, dtype, running=(), sample=None):
    """The whole job. Returns the loss of the last batch of every step (before its update), the final parameters (their moving
    average, where there is one), the rates, the gradient norms, and with batch norms the final statistics and the loss of all
    examples with those. `running` are the statistics at the start.
    """
    parameters = tensors(initial, dtype)
    statistics = [[torch.tensor(a, dtype=dtype) for a in pair] for pair in running]
    optimizer = make_optimizer(recipe, parameters, dtype)
    weighing = example_weights(recipe, y, sample)
    # Without weights all have the same.
    share = torch.ones(len(x), dtype=dtype) if weighing is None else torch.tensor(weighing, dtype=dtype)
    x, y = torch.tensor(x, dtype=dtype), torch.tensor(y)
    clip, decay = recipe["optimizer"].get("clip_norm"), recipe["train"].get("ema")
    if decay is not None:
        average = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
        module = torch.nn.ParameterList(flat(parameters))
        averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=average)
    per_epoch, at_a_time = steps_per_epoch(recipe, len(x)), recipe["train"].get("accumulate", 1)
    scale = LOSS_SCALE if recipe.get("precision") == "mixed" else 1.0
    losses, rates, norms = [], [], []
    for epoch in range(recipe["train"]["epochs"]):
        of_epoch = batches(recipe, len(x))
        for number in range(0, len(of_epoch), at_a_time):
            of_step = of_epoch[number : number + at_a_time]
            rates.append(rounded(learning_rate(recipe, epoch, len(losses), per_epoch), dtype))
            for group in optimizer.param_groups:
                group["lr"] = rates[-1]
            optimizer.zero_grad()
            for place, (first, end) in enumerate(of_step):
                share_of_others = mixup_share(recipe, epoch, number + place)
                rows = None if weighing is None else share[first:end]
                loss = loss_of(recipe, parameters, x[first:end], y[first:end], statistics, weights_of_rows=rows,
                               share=share_of_others)
                (scale * loss * (share[first:end].sum() / share[of_step[0][0] : of_step[-1][1]].sum())).backward()
            for parameter in flat(parameters) if scale != 1 else []:
                parameter.grad /= scale
            limit = math.inf if clip is None else rounded(clip, dtype)
            norms.append(float(torch.nn.utils.clip_grad_norm_(flat(parameters), limit)) if clip else math.nan)
            optimizer.step()
            if decay is not None:
                averaged.update_parameters(module)
            losses.append(float(loss.detach()))
    final = [[None if a is None else a.detach().numpy() for a in layer] for layer in parameters]
    if decay is not None:
        remaining = iter(averaged.module)
        final = [[None if a is None else next(remaining).detach().numpy() for a in layer] for layer in parameters]
    with torch.no_grad():
        evaluation = float(loss_of(recipe, tensors(final, dtype), x, y, statistics, training=False))
    measured = [[a.numpy() for a in pair] for pair in statistics]
    return np.array(losses), final, np.array(rates), np.array(norms), measured, evaluation


def first_rows(recipe, y, dtype, sample):
    """The weights of the first batch's rows, or None."""
    first, end = batches(recipe, len(y))[0]
    weighing = example_weights(recipe, y, sample)
    return None if weighing is None else torch.tensor(weighing[first:end], dtype=dtype)


def first_gradient(recipe, initial, x, y, dtype, sample=None):
    """The loss and the gradients on the first batch at the initial weights, before clipping and weight decay."""
    first, end = batches(recipe, len(x))[0]
    parameters, rows = tensors(initial, dtype), first_rows(recipe, y, dtype, sample)
    batch, targets = torch.tensor(x[first:end], dtype=dtype), torch.tensor(y[first:end])
    share = mixup_share(recipe, 0, 0)
    loss = loss_of(recipe, parameters, batch, targets, weights_of_rows=rows, share=share)
    if rows is not None and share is None and sample is None and recipe["model"]["loss"] == "softmax_cross_entropy":
        # PyTorch's own, by its own argument.
        criterion = torch.nn.CrossEntropyLoss(weight=torch.tensor(class_weights(recipe, y), dtype=dtype))
        penalty = recipe["optimizer"].get("l2", 0.0) * sum((weight**2).sum() for weight in weights(recipe, parameters))
        torch.testing.assert_close(loss, criterion(forward(recipe, parameters, batch), targets) + penalty)
    loss.backward()
    return float(loss.detach()), [[None if a is None else a.grad.numpy() for a in layer] for layer in parameters]


def central_difference_error(recipe, initial, x, y, gradients, sample=None, limit=1500):
    """The largest gap between the gradient and central differences in f64, relative to the tensor's largest gradient.

    Every element is tried, or `limit` elements spread evenly over a larger tensor.
    """
    first, end = batches(recipe, len(x))[0]
    rows = first_rows(recipe, y, torch.float64, sample)
    x, y = torch.tensor(x[first:end], dtype=torch.float64), torch.tensor(y[first:end])
    parameters = tensors(initial, torch.float64)
    worst, h, share = 0.0, 1e-6, mixup_share(recipe, 0, 0)
    with torch.no_grad():
        for tensor, gradient in zip(flat(parameters), flat(gradients)):
            values, exact = tensor.view(-1), gradient.reshape(-1)
            scale = np.abs(exact).max()
            assert scale > 0, "a gradient that is zero everywhere tests nothing"
            for i in range(0, len(values), -(-len(values) // limit)):
                kept = float(values[i])
                values[i] = kept + h
                above = float(loss_of(recipe, parameters, x, y, weights_of_rows=rows, share=share))
                values[i] = kept - h
                below = float(loss_of(recipe, parameters, x, y, weights_of_rows=rows, share=share))
                values[i] = kept
                worst = max(worst, abs((above - below) / (2 * h) - exact[i]) / scale)
    return worst
