"""The golden cases: what each recipe says and which data it sees. Names are `group-what`; the group is only for reading."""

import zlib
from dataclasses import dataclass, field

import numpy as np

BATCH = 31  # a prime, so that no kernel's tile divides it


@dataclass
class Case:
    name: str
    why: str  # one line, the first of the recipe
    input: list
    layers: list
    loss: str = "softmax_cross_entropy"
    optimizer: dict = field(default_factory=lambda: {"kind": "sgd", "learning_rate": 0.1})
    schedule: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)  # further keys of [data]
    model: dict = field(default_factory=dict)  # further keys of [model]
    train: dict = field(default_factory=dict)  # further keys of [train]
    augment: dict = field(default_factory=dict)
    count: int = 155  # examples: five batches of 31
    epochs: int = 40
    batch: object = BATCH
    drop_last: bool = False
    targets: str = "labels"  # or "one_hot", "values", "binary", "binary_labels"
    weighted: bool = False  # whether each example has a weight
    mixed: bool = False  # whether it is also trained with factors rounded to f16
    levels: int = 0  # the data holds numbers of so many levels
    categories: int = 0  # so many last values alone do, some of them -1; all, where it is 0
    draw: int = 0  # another draw of data and weights, where the first one is chaotic


# --- data -------------------------------------------------------------------------------------------------------------------


def on_grid(values, step):
    """float32 values on a coarse grid: exact everywhere, and they compress well."""
    return (np.round(np.asarray(values) * step) / step).astype(np.float32)


def random_for(case, what):
    """A generator that depends on nothing but the case's name and draw, so that adding a case changes no other."""
    draw = f", draw {case.draw}" if case.draw else ""
    return np.random.RandomState(zlib.crc32(f"{what} of {case.name}{draw}".encode()))


def make_data(case, outputs):
    """Overlapping blobs (features) or noisy smooth patterns (images), with targets of the kind the loss wants.

    One label in ten is drawn at random, so that the loss stays well above zero and its relative error means something.
    """
    random = random_for(case, "data")
    classes = max(outputs, 2)
    labels = random.randint(0, classes, case.count)
    if len(case.input) == 3:
        height, width, channels = case.input
        v, u = np.mgrid[0:height, 0:width]
        waves = random.uniform(0.3, 1.5, (classes, channels, 3))
        centres = np.stack([[np.sin(a * v + b * u + 4 * c) for a, b, c in of_class] for of_class in waves]).transpose(0, 2, 3, 1)
    else:
        centres = random.uniform(-1.5, 1.5, (classes, *case.input))
    x = on_grid(0.5 * centres[labels] + random.uniform(-1, 1, (case.count, *case.input)), 64)
    shown = np.where(random.uniform(size=case.count) < 0.1, random.randint(0, classes, case.count), labels)
    if case.levels:
        numbers = x[:, :-case.categories] if case.categories else x[:, :0]
        x = np.floor((x - x.min()) / (np.ptp(x) + 1 / 64) * case.levels)
        x[:, :numbers.shape[1]] = numbers
        x[:, numbers.shape[1]:] -= bool(case.categories)
    rows = x.reshape(case.count, -1).astype(np.float64)
    mix = random.uniform(-1, 1, (rows.shape[1], outputs)) / np.sqrt(rows.shape[1])
    noise = random.uniform(-0.3, 0.3, (case.count, outputs))
    if case.targets == "labels":
        return x, shown.astype(np.int64)
    if case.targets == "one_hot":
        return x, np.eye(classes, dtype=np.float32)[shown]
    if case.targets == "values":
        return x, on_grid(np.sin(2 * rows @ mix) + noise, 256)
    binary = (rows @ mix + noise > 0).astype(np.float32)
    return x, binary if case.targets == "binary" else binary[:, 0].astype(np.int64)


def sample_weights(case):
    """A weight for each example of a weighted case: one in four is 0."""
    if not case.weighted:
        return None
    return np.maximum(on_grid(random_for(case, "sample weights").uniform(-1, 3, case.count), 64), 0)


def initial_parameters(case, shapes):
    """Glorot-uniform weights and small biases that are not zero, float32, so that every program starts from the same numbers."""
    random = random_for(case, "initial parameters")
    parameters = []
    for _, shape, biases, scales in shapes:
        if scales:
            weight = random.uniform(0.7, 1.3, shape).astype(np.float32)
            parameters.append([weight, random.uniform(-0.2, 0.2, biases).astype(np.float32)])
            continue
        area = int(np.prod(shape[2:]))
        bound = np.sqrt(6 / (area * (shape[0] + shape[1])))
        weight = random.uniform(-bound, bound, shape).astype(np.float32)
        parameters.append([weight, random.uniform(-0.2, 0.2, biases).astype(np.float32) if biases else None])
    return parameters


def initial_statistics(case, shapes):
    """Running statistics as another training might have left them."""
    random = random_for(case, "initial statistics")
    return [
        [random.uniform(-0.3, 0.3, shape).astype(np.float32), random.uniform(0.6, 1.5, shape).astype(np.float32)]
        for _, shape in shapes
    ]


# --- recipes ----------------------------------------------------------------------------------------------------------------


def dense(units, activation=None, **more):
    return {"dense": units, **({"activation": activation} if activation else {}), **more}


def conv(filters, kernel, activation=None, **more):
    layer = {"conv2d": filters, "kernel": kernel, **more}
    return {**layer, "activation": activation} if activation else layer


def sgd(rate, **more):
    return {"kind": "sgd", "learning_rate": rate, **more}


def adam(rate, **more):
    return {"kind": "adam", "learning_rate": rate, **more}


def adamw(rate, **more):
    return {"kind": "adamw", "learning_rate": rate, **more}


def mlp(activation="tanh", last=None, outputs=5):
    return [dense(17, activation), dense(11, activation), dense(outputs, last)]


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def toml_table(name, values):
    return [f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in values.items()), ""]


def recipe_text(case):
    """The recipe as TOML: the only definition of the job; make.py reads it back before it trains."""
    lines = [f"# {case.why}", "# Made by make.py; the data and the expected numbers are in the .npz of the same name.", ""]
    lines += [f'name = "{case.name}"', "seed = 0", 'precision = "f32"', "", *toml_table("data", {"scale": "none", **case.data})]
    lines += ["[model]", f"input = {toml_value(case.input)}", "layers = ["]
    lines += [f"  {toml_value(layer)}," for layer in case.layers]
    lines += ["]", f'loss = "{case.loss}"']
    lines += [*(f"{key} = {toml_value(value)}" for key, value in case.model.items()), ""]
    if case.augment:
        lines += toml_table("augment", case.augment)
    lines += toml_table("optimizer", case.optimizer)
    if case.schedule:
        lines += toml_table("schedule", case.schedule)
    train = {"epochs": case.epochs, "batch": case.batch, "shuffle": False, "drop_last": case.drop_last, "log_every": 1, **case.train}
    return "\n".join(lines + toml_table("train", train)).rstrip() + "\n"


# --- the table --------------------------------------------------------------------------------------------------------------

F14 = [14]


def activation_cases():
    for name in ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "elu", "softplus", "hard_swish", "mish", "relu6"):
        rate = {"sigmoid": 0.5, "gelu": 0.2}.get(name, 0.05)  # GELU's must tell the exact form from the tanh approximation
        yield Case(f"activation-{name.replace('_', '-')}", f"Two hidden layers of {name}.", F14, mlp(name), optimizer=sgd(rate))
    yield Case("activation-softmax", "Softmax as the last activation, under a squared loss.", F14, mlp("tanh", "softmax"),
               loss="mse", targets="one_hot", optimizer=sgd(0.5))
    yield Case("activation-softmax-hidden", "Softmax between two dense layers.", F14,
               [dense(17, "tanh"), dense(11, "softmax"), dense(5)], optimizer=sgd(0.3))
    yield Case("activation-layer", "Activations written as layers of their own.", F14,
               [dense(17), {"activation": "silu"}, dense(11), {"activation": "tanh"}, dense(5)])


def loss_cases():
    yield Case("loss-softmax-cross-entropy", "Cross-entropy of integer labels.", F14, mlp())
    yield Case("loss-softmax-cross-entropy-one-hot", "Cross-entropy of labels that the file gives as one-hot rows.", F14, mlp(),
               targets="one_hot")
    yield Case("loss-mse", "Squared error of float targets, mean over all elements.", F14, mlp(outputs=3), loss="mse", targets="values")
    yield Case("loss-mse-labels", "Squared error of integer labels: they become one-hot rows.", F14, mlp(), loss="mse")
    yield Case("loss-half-mse", "Half the squared error.", F14, mlp(outputs=3), loss="half_mse", targets="values",
               optimizer=sgd(0.2))
    yield Case("loss-binary-cross-entropy", "Binary cross-entropy of three sigmoid outputs, mean over all elements.", F14,
               mlp("tanh", "sigmoid", 3), loss="binary_cross_entropy", targets="binary")
    yield Case("loss-binary-cross-entropy-labels", "Binary cross-entropy of one sigmoid output and labels 0 and 1.", F14,
               mlp("tanh", "sigmoid", 1), loss="binary_cross_entropy", targets="binary_labels")


    yield Case("loss-label-smoothing", "Cross-entropy whose targets are smoothed.", F14, mlp(), model={"label_smoothing": 0.125})
    yield Case("loss-label-smoothing-l2", "The same beside the penalty, in short batches.", F14, mlp(), model={"label_smoothing": 0.25},
               optimizer=sgd(0.1, l2=0.003), batch=31)
    yield Case("loss-mae", "Absolute error of float targets, mean over all elements.", F14, mlp(outputs=3), loss="mae", targets="values",
               optimizer=sgd(0.002))
    yield Case("loss-huber", "Huber's error with its default delta of 1.", F14, mlp(outputs=3), loss="huber", targets="values")
    yield Case("loss-huber-delta", "Huber's error with a delta that both its parts meet.", F14, mlp(outputs=3), loss="huber",
               targets="values", model={"delta": 0.25})
    yield Case("loss-huber-labels", "Huber's error of integer labels: they become one-hot rows.", F14, mlp(), loss="huber",
               model={"delta": 0.1875}, optimizer=sgd(0.5))
    short = {"count": 149}  # the last batch of an epoch has 25 rows
    yield Case("loss-class-weights", "Cross-entropy by the classes' weights, one of them 0; batches have other sums of weights.", F14,
               mlp(), data={"class_weights": [2.0, 0.5, 0.0, 3.0, 1.0]}, **short)
    yield Case("loss-class-weights-balanced", "Classes that count the same, beside the penalty; the last examples never train.", F14,
               mlp(), data={"class_weights": "balanced"}, optimizer=sgd(0.1, l2=0.003), batch=29, drop_last=True, **short)
    yield Case("loss-class-weights-binary", "A weight for the second of two classes, by its name.", F14, mlp("tanh", "sigmoid", 1),
               loss="binary_cross_entropy", targets="binary_labels", data={"class_weights": {"1": 3.0}}, **short)
    yield Case("loss-sample-weights", "Squared error by the examples' weights, some of them 0.", F14, mlp(outputs=3), loss="mse",
               targets="values", weighted=True, **short)
    yield Case("loss-sample-weights-label-smoothing", "Weighted examples with smoothed labels.", F14, mlp(),
               model={"label_smoothing": 0.125}, weighted=True, **short)


def optimizer_cases():
    def case(name, why, optimizer, **more):
        return Case(f"optimizer-{name}", why, F14, mlp(), optimizer=optimizer, **more)

    yield case("sgd", "Plain gradient descent.", sgd(0.1))
    yield case("momentum", "Momentum: v = mu v + g, w -= rate v.", sgd(0.02, momentum=0.9))
    yield case("nesterov", "Nesterov's momentum as PyTorch defines it: w -= rate (g + mu v).", sgd(0.02, momentum=0.9, nesterov=True))
    yield case("sgd-weight-decay", "Weight decay adds decay * w to every gradient, biases too.", sgd(0.1, weight_decay=0.01))
    yield case("momentum-weight-decay", "The decay is added before the momentum.", sgd(0.02, momentum=0.9, weight_decay=0.01))
    yield case("sgd-l2", "The penalty l2 * sum(w^2) on weights only, inside the loss.", sgd(0.1, l2=0.003))
    yield case("adam", "Adam with its defaults.", adam(0.003))
    yield case("adam-options", "Adam with betas and an epsilon of its own.", adam(0.003, beta1=0.8, beta2=0.95, epsilon=0.001))
    yield case("adam-weight-decay", "Adam's coupled weight decay: part of the gradient.", adam(0.003, weight_decay=0.01))
    yield case("adam-l2", "The penalty in the loss, under Adam.", adam(0.003, l2=0.003))
    yield case("adamw", "AdamW with its default decay of 0.01.", adamw(0.003))
    yield case("adamw-weight-decay", "AdamW with a decay that shows: w *= 1 - rate * decay, biases too.", adamw(0.003, weight_decay=0.5))
    def rmsprop(rate, **more):
        return {"kind": "rmsprop", "learning_rate": rate, **more}

    def lion(rate, **more):
        return {"kind": "lion", "learning_rate": rate, **more}

    yield case("rmsprop", "RMSprop with its defaults.", rmsprop(0.002))
    yield case("rmsprop-momentum", "RMSprop with momentum: its velocity is of quotients.",
               rmsprop(0.001, momentum=0.8, alpha=0.9, epsilon=0.001))
    yield case("rmsprop-centered", "RMSprop by the gradient's deviation, with weight decay.",
               rmsprop(0.002, centered=True, weight_decay=0.02, epsilon=0.01))
    yield case("rmsprop-centered-momentum", "Both, under clipping and the penalty.",
               rmsprop(0.001, centered=True, momentum=0.5, l2=0.003, clip_norm=0.5, epsilon=0.01))
    yield case("lion", "Lion with its defaults.", lion(0.001))
    yield case("lion-weight-decay", "Lion with betas of its own; the decay is decoupled, and comes first.",
               lion(0.001, beta1=0.8, beta2=0.95, weight_decay=0.5), draw=1)
    def muon(rate, **more):
        return {"kind": "muon", "learning_rate": rate, **more}

    yield case("muon", "Muon with its defaults, and AdamW for the biases.", muon(0.01))
    yield case("muon-options", "Muon's other terms: the penalty, clipping, decay of weights alone, fewer iterations.",
               muon(0.002, momentum=0.8, nesterov=False, ns_steps=3, adjust_lr_fn="match_rms_adamw", adam_learning_rate=0.003,
                    beta1=0.8, beta2=0.95, epsilon=0.001, weight_decay=0.5, decay_bias=False, l2=0.003, clip_norm=0.7))
    yield case("clip-norm", "Clipping by the norm of all gradients together; some steps are clipped, some are not.",
               sgd(0.2, clip_norm=0.5))
    yield case("clip-norm-l2-weight-decay", "Clipping comes after the penalty and before weight decay.",
               sgd(0.1, momentum=0.5, l2=0.003, weight_decay=0.02, clip_norm=0.5))
    yield case("clip-norm-adam", "Clipping under Adam.", adam(0.003, clip_norm=0.4))


def schedule_cases():
    def case(name, why, schedule, optimizer=None):
        return Case(f"schedule-{name}", why, F14, mlp(), schedule=schedule, optimizer=optimizer or sgd(0.2))

    phases = [{"epochs": 7, "learning_rate": 0.2}, {"epochs": 20, "learning_rate": 0.05}, {"epochs": 13, "learning_rate": 0.01}]
    yield case("step", "The rate halves every seven epochs.", {"kind": "step", "every": 7, "factor": 0.5})
    yield case("multi-step", "The rate falls at given epochs.", {"kind": "multi_step", "epochs": [5, 17, 30], "factor": 0.3})
    yield case("cosine", "The rate falls along a cosine, once per epoch.", {"kind": "cosine"})
    yield case("phases", "A rate for each of several phases.", {"kind": "phases", "phases": phases})
    yield case("warmup", "The rate rises over the first 23 steps, across epochs, and then stays.", {"warmup_steps": 23})
    yield case("warmup-cosine", "Warm-up multiplies what the cosine gives.", {"kind": "cosine", "warmup_steps": 23})
    yield case("step-adam", "A schedule under Adam.", {"kind": "step", "every": 11, "factor": 0.3}, adam(0.005))


    yield case("cosine-step", "The rate falls along a cosine, with every step.", {"kind": "cosine", "by": "step", "min": 0.01})
    yield case("one-cycle", "PyTorch's OneCycleLR with its defaults.", {"kind": "one_cycle"})
    yield case("one-cycle-linear", "One cycle of straight lines, with numbers of its own, under Adam.",
               {"kind": "one_cycle", "anneal": "linear", "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 50.0}, adam(0.01))
    yield case("one-cycle-epoch", "One cycle by epochs, and a warm-up that multiplies it.",
               {"kind": "one_cycle", "by": "epoch", "warmup_steps": 3})
    yield case("warmup-epochs-cosine-step", "A warm-up counted in epochs, under a cosine by steps.",
               {"kind": "cosine", "by": "step", "warmup_epochs": 2.5})


def train_cases():
    def case(name, why, train, **more):
        return Case(f"train-{name}", why, F14, mlp(), train=train, **more)

    three = {"count": 150, "epochs": 100}  # batches of 31, 31 and 31, then of 31 and 26
    yield case("accumulate", "Three batches of 31 to an update, and at the epoch's end one of 31 and one of 26.", {"accumulate": 3}, **three)
    yield case("accumulate-all", "More batches to an update than there are; decay and penalty come once.", {"accumulate": 12}, batch=17,
               epochs=200, optimizer=sgd(0.1, momentum=0.5, l2=0.003, weight_decay=0.02))
    yield case("accumulate-adam-one-cycle", "Accumulated updates count as the steps of a schedule.", {"accumulate": 3},
               schedule={"kind": "one_cycle"}, optimizer=adam(0.01), **three)
    yield case("accumulate-drop-last", "A short batch is left out, and an update of two is left.", {"accumulate": 3},
               count=170, epochs=100, drop_last=True)
    yield case("ema", "The final weights are the moving average of the trained ones.", {"ema": 0.95})
    yield case("ema-adam-accumulate", "The average moves once an update.", {"ema": 0.98, "accumulate": 3}, optimizer=adam(0.003), **three)
    yield case("accumulate-weights", "The gradient of an update is weighted over all of its batches.", {"accumulate": 3},
               data={"class_weights": [2.0, 0.5, 1.0, 3.0, 0.25]}, weighted=True, optimizer=adam(0.003), **three)


def batch_cases():
    yield Case("batch-partial", "The last batch of an epoch has 25 rows instead of 31.", F14, mlp(), count=149)
    yield Case("batch-partial-one", "The last batch of an epoch is a single row.", F14, mlp(), count=125)
    yield Case("batch-drop-last", "The last four rows never train.", F14, mlp(), count=149, batch=29, drop_last=True)
    yield Case("batch-full", "All rows in every step.", F14, mlp(), count=149, batch="full", epochs=200)
    yield Case("batch-one", "One row in every step.", F14, mlp(), count=40, batch=1, epochs=5, optimizer=sgd(0.03))
    yield Case("batch-larger", "A batch larger than the data takes all rows.", F14, mlp(), count=37, batch=64, epochs=200,
               optimizer=sgd(0.03))


def shape_cases():
    yield Case("shape-single", "No hidden layer: softmax regression.", F14, [dense(5)])
    yield Case("shape-narrow", "Widths of one.", [1], [dense(1, "tanh"), dense(3, "tanh"), dense(1)], loss="mse", targets="values")
    yield Case("shape-no-bias", "Layers without bias between layers with one.", F14,
               [dense(17, "tanh", bias=False), dense(11, "tanh"), dense(5, bias=False)])
    yield Case("shape-wide", "A width just above a tile of 64, and primes.", [13], [dense(65, "tanh"), dense(37, "silu"), dense(7)],
               optimizer=sgd(0.05))
    yield Case("shape-deep", "Six layers.", F14, [dense(n, "tanh") for n in (13, 11, 12, 9, 10)] + [dense(4)])
    yield Case("shape-image-dense", "Dense on an image: channels first, then rows, then columns.", [5, 4, 3],
               [dense(13, "tanh"), dense(4)], optimizer=sgd(0.05))
    yield Case("shape-image-flatten", "The same with the flattening written out, on one channel.", [8, 8, 1],
               [{"flatten": True}, dense(13, "relu"), dense(4)], optimizer=sgd(0.05))


def convolution_cases():
    def case(name, why, input, layers, optimizer=None, **more):
        # four batches an epoch, of 17, 17, 17 and 14 images
        return Case(name, why, input, layers, optimizer=optimizer or sgd(0.05), count=65, batch=17, epochs=50, **more)

    head = [dense(5)]
    image = [9, 7, 2]
    yield case("conv-valid", "A convolution without padding.", image, [conv(5, 3, "tanh", padding="valid"), *head])
    yield case("conv-same", "A convolution that keeps the size.", image, [conv(5, 3, "tanh", padding="same"), *head])
    yield case("conv-same-even", "An even kernel: the odd pixel of padding goes to the bottom and the right.", image,
               [conv(5, 4, "tanh", padding="same"), *head])
    yield case("conv-stride", "A stride that leaves rows and columns out at the end.", [10, 8, 2],
               [conv(5, 3, "tanh", padding="valid", stride=2), *head])
    yield case("conv-same-stride", "Stride 2 with padding: one pixel on an even height, two on an odd width.", [8, 7, 2],
               [conv(5, 3, "tanh", padding="same", stride=2), *head])
    yield case("conv-same-stride-wide", "A stride longer than the kernel: nothing to pad, and pixels between the windows unused.",
               [11, 12, 2], [conv(5, 3, "tanh", padding="same", stride=4), *head])
    yield case("conv-rectangle", "Kernel and stride that differ in height and width.", image,
               [conv(5, [3, 2], "tanh", padding="valid", stride=[1, 2]), *head])
    yield case("conv-rectangle-same", "A rectangular kernel with padding.", image,
               [conv(5, [2, 5], "tanh", padding="same", stride=[2, 1]), *head])
    yield case("conv-padding", "Rows and columns of padding on all sides, as PyTorch has it.", image,
               [conv(5, 3, "tanh", padding=[2, 1], stride=2), conv(3, 3, "tanh", padding=1), *head])
    yield case("conv-dilation", "Taps that lie apart.", image,
               [conv(5, 3, "tanh", padding="same", dilation=2), conv(3, [2, 3], "tanh", padding=[1, 2], dilation=[3, 2], stride=[2, 1]),
                *head])
    yield case("conv-groups", "Groups of channels that do not see each other.", image,
               [conv(6, 3, "tanh", padding=1, groups=2), conv(9, [3, 2], "silu", groups=3, stride=[1, 2], bias=False), *head])
    yield case("conv-depthwise", "A depthwise and a pointwise convolution, twice; the second makes two of each channel.", image,
               [conv(3, 1, "tanh"), conv(3, 3, "tanh", padding=1, groups=3), conv(5, 1, "tanh"),
                conv(10, [3, 2], "tanh", stride=2, dilation=[1, 2], padding=[1, 2], groups=5), conv(4, 1, "tanh"), *head])
    yield case("conv-transpose", "Down and up again by a transposed convolution, and one pixel more.", image,
               [conv(5, 3, "tanh", stride=2), {"conv2d_transpose": 3, "kernel": [3, 2], "stride": 2, "padding": [1, 0],
                "output_padding": [1, 0], "activation": "tanh"}, conv(4, 2, "tanh"), *head])
    yield case("conv-transpose-first", "A transposed convolution first of all, dilated, and one in groups without a bias.", [4, 3, 2],
               [{"conv2d_transpose": 4, "kernel": 2, "stride": [1, 2], "dilation": [2, 1], "activation": "silu"},
                {"conv2d_transpose": 6, "kernel": 3, "padding": 1, "groups": 2, "bias": False, "activation": "tanh"},
                conv(3, 3, "tanh", stride=2), *head])
    yield case("conv-transpose-same", "Twice and three times as large: the gradients of convolutions with padding.", [4, 3, 2],
               [{"conv2d_transpose": 3, "kernel": 4, "stride": 2, "padding": "same", "activation": "tanh"},
                {"conv2d_transpose": 2, "kernel": [2, 3], "stride": [1, 3], "padding": "same", "groups": 1, "activation": "tanh"},
                conv(3, 3, "tanh", stride=2), *head])
    yield case("shape-reshape", "Features to an image of as many values, and back.", F14,
               [dense(24, "tanh"), {"reshape": [3, 4, 2]}, conv(5, 2, "tanh"), {"flatten": True}, *head])
    yield case("conv-pointwise", "A kernel of one pixel mixes channels only.", [5, 4, 3],
               [conv(7, 1, "tanh"), conv(3, 1, "tanh"), *head])
    yield case("conv-whole-image", "A kernel as large as the image: a dense layer in disguise.", [5, 4, 3],
               [conv(11, [5, 4], "tanh"), {"flatten": True}, *head])
    yield case("conv-no-bias", "Convolutions without bias.", image,
               [conv(5, 3, "tanh", bias=False), conv(3, 3, "tanh", bias=False), *head])
    yield case("conv-mse", "A convolution under a squared loss of float targets.", image,
               [conv(5, 3, "tanh"), {"flatten": True}, dense(11, "tanh"), dense(3)], loss="mse", targets="values")
    yield case("conv-l2-momentum", "The penalty and the decay on convolutions.", image,
               [conv(5, 3, "tanh"), *head], sgd(0.01, momentum=0.9, l2=0.002, weight_decay=0.01))
    yield case("conv-muon", "Muon on convolutions, whose filters are the rows of a matrix.", image,
               [conv(5, 3, "tanh"), conv(20, 2, "tanh", stride=2), *head],
               {"kind": "muon", "learning_rate": 0.004, "adam_learning_rate": 0.003})
    yield case("conv-f16", "Channels enough for products of factors rounded to f16, with strides, dilation, groups and a transposed one.",
               [9, 7, 3], [conv(16, 3, "tanh", padding="same"), conv(24, 3, "silu", padding=1, stride=2, groups=2),
                           conv(11, [2, 3], "tanh", padding=1, dilation=[1, 2], bias=False),
                           {"conv2d_transpose": 12, "kernel": 2, "stride": 2, "activation": "tanh"}, conv(5, 3, "tanh"), *head],
               mixed=True)
    yield case("pool-max", "Pooling by the largest; a row and a column are left over.", image,
               [conv(5, 3, "tanh", padding="same"), {"max_pool": 2}, *head])
    yield case("pool-max-overlap", "Windows that overlap: a pixel may be the largest of several.", image,
               [conv(5, 3, "tanh", padding="same"), {"max_pool": 3, "stride": 2}, *head])
    yield case("pool-max-relu", "Windows where all pixels are zero after a ReLU.", image,
               [conv(5, 3, "relu"), {"max_pool": 2}, *head])
    yield case("pool-max-first", "A pool before the first parameters.", [12, 12, 3], [{"max_pool": [3, 2]}, conv(5, 2, "tanh"), *head])
    yield case("pool-average", "Pooling by the mean.", image, [conv(5, 3, "tanh", padding="same"), {"average_pool": 2}, *head])
    yield case("pool-average-overlap", "Means of windows that overlap.", image,
               [conv(5, 3, "tanh", padding="same"), {"average_pool": 3, "stride": 2}, *head])
    yield case("pool-max-padding", "Windows that reach over the border, where nothing is the largest.", image,
               [conv(5, 3, "tanh", padding=1), {"max_pool": 3, "stride": 2, "padding": 1}, *head])
    yield case("pool-average-padding", "Means of windows over the border, of the pixels that they have.", image,
               [conv(5, 3, "tanh", padding=1), {"average_pool": [3, 4], "stride": 2, "padding": [1, 2]}, *head])
    yield case("pool-global-average", "The mean of every channel.", image,
               [conv(7, 3, "tanh"), {"global_average_pool": True}, *head], sgd(0.3))
    yield case("cnn3", "Three convolutions and two pools: the coursework's first network, small and with primes.", [17, 17, 1],
               [conv(7, 3, "relu"), conv(3, 5, "relu"), {"max_pool": 2}, conv(5, 2, "linear"), {"max_pool": 2},
                {"global_average_pool": True}, *head], adam(0.003), draw=6)
    # ReLU would make this one chaotic: in 13 million activations some lie within a rounding of the kink.
    yield case("cnn5", "Six convolutions and two pools: the coursework's second network, small, with primes and SiLU.", [17, 19, 1],
               [conv(7, 3, "silu"), conv(5, 3, "silu"), conv(5, 3, "silu"), conv(3, 3, "silu"), {"max_pool": 2},
                conv(7, 2, "silu"), conv(11, 2, "silu"), {"max_pool": 2}, {"global_average_pool": True}, *head], adam(0.001))
    yield case("cnn-mixed", "Every kind of image layer in one network.", [12, 12, 3],
               [conv(5, 3, padding="same", bias=False), {"activation": "gelu"}, {"average_pool": 2},
                conv(7, 3, "silu", padding="same", stride=2), {"max_pool": 2, "stride": 1}, {"flatten": True}, dense(13, "tanh"), *head],
               adam(0.003))


def named_layer(name, layer):
    return {"name": name, **layer}


def graph_cases():
    def case(name, why, input, layers, optimizer=None, **more):
        size = {"count": 65, "batch": 17, "epochs": 50} if len(input) == 3 else {}
        return Case(f"graph-{name}", why, input, layers, optimizer=optimizer or sgd(0.05), **{**size, **more})

    def branch(start, layer):
        return {"from": start, **layer}

    head = [dense(5)]
    image = [8, 6, 2]
    yield case("residual", "A residual block of dense layers around which the input goes as it is.", F14,
               [dense(13, "tanh"), {"residual": [dense(11, "tanh"), dense(13)], "activation": "elu"}, *head])
    yield case("residual-first", "A residual block first of all: no gradient flows into the data.", F14,
               [{"residual": [dense(9, "tanh"), dense(14)]}, dense(7, "silu"), *head])
    yield case("residual-shortcut", "Residual blocks of convolutions, the second with a strided convolution as its shortcut.", image,
               [conv(5, 3, "tanh", padding="same"),
                {"residual": [conv(5, 3, "tanh", padding="same"), conv(5, 3, padding="same")], "activation": "tanh"},
                {"residual": [conv(7, 3, "gelu", padding="same", stride=2), conv(7, 3, padding="same")],
                 "shortcut": [conv(7, 1, stride=2)], "activation": "silu"},
                {"global_average_pool": True}, *head], sgd(0.1))
    yield case("residual-nested", "A residual block in a residual block.", F14,
               [dense(9, "tanh"), {"residual": [{"residual": [dense(9, "tanh")]}, dense(9, "tanh")]}, *head])
    yield case("add-three", "Three branches of one layer, added up.", F14,
               [named_layer("stem", dense(11, "tanh")), named_layer("a", dense(7, "tanh")),
                named_layer("b", branch("stem", dense(7, "silu"))), named_layer("c", branch("stem", dense(7))),
                {"add": ["a", "b", "c"], "activation": "tanh"}, *head])
    yield case("concat", "Branches side by side: features one after the other, the data itself among them.", F14,
               [named_layer("a", dense(7, "tanh")), named_layer("b", branch("input", dense(5, "gelu"))),
                {"concat": ["a", "input", "b"]}, *head])
    yield case("concat-images", "Channels one after the other, and a branch that is taken twice.", image,
               [named_layer("stem", conv(3, 3, "tanh", padding="same")), named_layer("wide", conv(4, 3, "tanh", padding="same")),
                named_layer("thin", branch("stem", conv(2, 1, "tanh"))), {"concat": ["stem", "wide", "thin"]},
                named_layer("all", conv(4, 1, "elu")), {"add": ["all", "wide"]}, {"average_pool": 2}, *head])
    yield case("upsample", "Down and up again, beside what was there (a U-Net in small).", image,
               [named_layer("fine", conv(3, 3, "tanh", padding="same")), {"max_pool": 2}, conv(4, 3, "tanh", padding="same"),
                named_layer("coarse", {"upsample": 2}), {"concat": ["fine", "coarse"]}, conv(4, 3, "tanh"), *head])
    yield case("upsample-rectangle", "Rows three times, columns twice.", [4, 3, 2],
               [conv(3, 2, "tanh"), {"upsample": [3, 2]}, conv(4, 3, "silu"), *head])
    yield case("layer-norm", "Layer normalisation of vectors.", F14,
               [dense(17), {"layer_norm": True, "activation": "tanh"}, dense(11, "silu"), {"layer_norm": True}, *head])
    yield case("layer-norm-images", "Layer normalisation of images: each value has a scale of its own.", image,
               [conv(5, 3), {"layer_norm": True, "epsilon": 0.001, "activation": "silu"}, conv(3, 2, "tanh"), {"layer_norm": True}, *head])
    yield case("group-norm", "Group normalisation: six channels in three groups.", image,
               [conv(6, 3), {"group_norm": 3, "activation": "tanh"}, conv(4, 2, "silu"), {"group_norm": 1}, *head])
    yield case("group-norm-features", "Groups of features.", F14,
               [dense(12, "tanh"), {"group_norm": 4, "epsilon": 0.01}, dense(7, "tanh"), *head])
    yield case("global-max-pool", "The largest value of every channel.", image,
               [conv(7, 3, "tanh"), {"global_max_pool": True}, *head], sgd(0.1))


def embedding_cases():
    yield Case("embedding", "Numbers for each of 13 levels, for five values of an example; the last level is never seen.", [5],
               [{"embedding": 3, "levels": 13}, dense(11, "tanh"), dense(5)], levels=12)
    yield Case("embedding-adamw-beside", "An embedding beside the data itself, with decay and penalty; the last batch has 25 rows.", [4],
               [named_layer("table", {"embedding": 5, "levels": 7}), {"concat": ["table", "input"]}, {"layer_norm": True},
                dense(9, "silu"), dense(5)], optimizer=adamw(0.01, l2=0.003, weight_decay=0.1), count=149, levels=7)
    yield Case("embedding-categories", "Two numbers that pass and four values that are looked up, some of them none of the levels.", [6],
               [{"embedding": 3, "levels": 12, "categories": 4}, dense(9, "tanh"), dense(5)], optimizer=adam(0.01), count=149,
               levels=12, categories=4)


def mixup_cases():
    def case(name, why, strength, input=F14, layers=None, **more):
        return Case(f"mixup{name}", why, input, layers or mlp(), augment={"mixup": strength}, **more)

    short = {"count": 149}  # the last batch of an epoch has 25 rows
    yield case("", "Examples mixed by Beta(0.4, 0.4), with smoothed labels and the penalty.", 0.4,
               model={"label_smoothing": 0.125}, optimizer=sgd(0.1, l2=0.003), **short)
    yield case("-class-weights", "Mixed classes of different weights, one of them 0, over the batches of an update.", 1.0,
               data={"class_weights": [2.0, 0.5, 0.0, 3.0, 1.0]}, train={"accumulate": 3}, optimizer=adam(0.003), count=150, epochs=100)
    yield case("-binary", "Several mixed bits at once; the last batch is a single row, which stays as it is.", 0.2, layers=mlp("tanh", "sigmoid", 3),
               loss="binary_cross_entropy", targets="binary", count=125)
    yield case("-values-weights", "Mixed values, and the mixed weights of their examples, some of them 0.", 0.4, layers=mlp(outputs=3),
               loss="mse", targets="values", weighted=True, **short)
    yield case("-huber-labels", "Huber's error of mixed one-hot rows; the last examples never train.", 3.0, loss="huber", model={"delta": 0.1875},
               optimizer=sgd(0.5), batch=29, drop_last=True, **short)
    yield case("-images", "Mixed images before a convolution.", 0.4, [7, 6, 2], [conv(5, 3, "tanh"), dense(5)], count=65, batch=17, epochs=50,
               optimizer=sgd(0.05, momentum=0.9))


def batch_norm_cases():
    def norm(activation=None, **more):
        return {"batch_norm": True, **({"activation": activation} if activation else {}), **more}

    def plain(filters, kernel, **more):
        return conv(filters, kernel, bias=False, **more)  # the norm takes away what a bias adds

    head = [dense(5)]
    yield Case("batch-norm-features", "Batch normalisation of vectors; the last batch has 25 rows instead of 31.", F14,
               [dense(17, bias=False), norm("tanh"), dense(11, "silu"), norm(momentum=0.3, epsilon=0.01), *head], count=149,
               optimizer=sgd(0.05))
    yield Case("batch-norm-first", "A norm before all weights; the running statistics are the last batch's alone, which is the whole of the data.", F14,
               [norm(momentum=1.0), dense(9, "tanh"), *head], count=40, batch="full", epochs=200, optimizer=adam(0.003), draw=1)
    yield Case("batch-norm-images", "Batch normalisation of channels, ReLU after the norm; the last batch has 14 images instead of 17.",
               [9, 7, 2], [plain(5, 3), norm("silu"), {"max_pool": 2}, plain(7, 2), norm("tanh"), *head], count=65, batch=17, epochs=50,
               optimizer=adam(0.003))
    yield Case("batch-norm-residual", "Residual blocks with norms, the second with a norm in its shortcut, as in a ResNet.", [8, 6, 2],
               [plain(5, 3, padding="same"), norm("silu"),
                {"residual": [plain(5, 3, padding="same"), norm("silu"), plain(5, 3, padding="same"), norm()], "activation": "silu"},
                {"residual": [plain(7, 3, padding="same", stride=2), norm("silu"), plain(7, 3, padding="same"), norm()],
                 "shortcut": [plain(7, 1, stride=2), norm()], "activation": "silu"},
                {"global_average_pool": True}, *head], count=65, batch=17, epochs=50, optimizer=sgd(0.05, momentum=0.9, l2=0.0009765625))
    yield Case("optimizer-sgd-decay-weights", "Weight decay that leaves out biases and the scales of norms.", F14,
               [dense(17), {"layer_norm": True, "activation": "tanh"}, dense(11, "tanh"), *head],
               optimizer=sgd(0.05, weight_decay=0.02, decay_bias=False))
    yield Case("optimizer-adamw-decay-weights", "AdamW's decay, which leaves out biases.", F14, mlp(),
               optimizer=adamw(0.003, weight_decay=0.5, decay_bias=False))


CASES = [
    *activation_cases(), *loss_cases(), *optimizer_cases(), *schedule_cases(), *train_cases(), *batch_cases(), *shape_cases(),
    *convolution_cases(), *graph_cases(), *batch_norm_cases(), *embedding_cases(), *mixup_cases(),
]
