"""A small resnet18 and a small resnet20 in plain PyTorch, with torchvision's names: their state dicts, and what they do.

    pip install numpy torch
    python make.py            # some seconds; writes NAME.safetensors (state dicts) and NAME.npz (data, losses, logits)

The recipes are those that come with the program, of fewer channels and classes. PyTorch computes in float64 from float32 weights.
`NAME-start.safetensors` is the state dict before, `NAME-trained.safetensors` after 20 steps, rounded to float32; `logits` and
`trained_logits` are the answers to all examples with each, `losses` those of the 20 steps. `frozen_losses` and `frozen_logits` come from
20 steps with FROZEN's modules in eval() and their parameters without gradients, under weight decay, momentum and clipping by norm.
"""

import copy
import json
import struct

import numpy as np
import torch
from torch import nn

STEPS, BATCH, EXAMPLES, CLASSES = 20, 12, 36, 10
# Seed, side of the pictures and learning rate of each: a draw in which no activation lies within a rounding of a kink, and so float32
# runs agree with float64 (to 1e-5; others part by per cents).
DRAWS = {"resnet18": (2, 32, 0.001), "resnet20": (3, 16, 0.002)}
FROZEN = {"resnet18": ["conv1", "bn1", "layer1", "layer3.0"], "resnet20": ["layer2", "layer3.1.bn1"]}


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks, widths, classes, imagenet):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, 2, 3, bias=False) if imagenet else nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        before = widths[0]
        for stage, width in enumerate(widths):
            strides = [1 if stage == 0 else 2] + [1] * (blocks - 1)
            layers = [BasicBlock(before if i == 0 else width, width, stride) for i, stride in enumerate(strides)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            before = width
        self.stages = len(widths)
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


def small(name):
    return ResNet(2, [4, 8, 16, 32], CLASSES, True) if name == "resnet18" else ResNet(3, [4, 8, 16], CLASSES, False)


def save(path, state):
    """A state dict as .safetensors; floats in float32, counts as they are."""
    header, blobs, offset = {}, [], 0
    for key, tensor in state.items():
        array = tensor.detach().numpy()
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        header[key] = {"dtype": {"float32": "F32", "int64": "I64"}[array.dtype.name], "shape": list(array.shape),
                       "data_offsets": [offset, offset + array.nbytes]}
        blobs.append(array.tobytes())
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def perturbed(net):
    """Convolutions as torchvision draws them; scales, biases and statistics as another training might have left them. All exact in float32."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.7, 1.3)
                module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.6, 1.5)
    return net.float().double()


def logits(net, x):
    net.eval()
    with torch.no_grad():
        return net(x).numpy()


def train(net, x, y, frozen, rate):
    net.train()
    for name in frozen:
        module = net.get_submodule(name)
        module.eval()
        module.requires_grad_(False)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=0.001)
    losses = []
    for step in range(STEPS):
        rows = slice(step * BATCH % EXAMPLES, step * BATCH % EXAMPLES + BATCH)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        loss.backward()
        if frozen:
            nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def main():
    for name, (seed, side, rate) in DRAWS.items():
        torch.manual_seed(seed)
        net = perturbed(small(name))
        random = np.random.RandomState(seed)
        y = random.randint(0, CLASSES, EXAMPLES)
        waves = np.sin(np.arange(side)[:, None, None] * random.uniform(0.1, 0.9, (CLASSES, 1, 1, 3))[y]
                       + np.arange(side)[None, :, None] * random.uniform(0.1, 0.9, (CLASSES, 1, 1, 3))[y])
        x = np.clip(128 + 60 * waves + random.uniform(-60, 60, waves.shape), 0, 255).astype(np.uint8)
        inputs, labels = torch.tensor(x).permute(0, 3, 1, 2).double() / 255, torch.tensor(y)
        save(f"{name}-start.safetensors", net.state_dict())
        arrays = {"x": x, "y": y, "logits": logits(net, inputs)}
        thawed, frozen = copy.deepcopy(net), copy.deepcopy(net)
        arrays["losses"] = train(thawed, inputs, labels, [], rate)
        save(f"{name}-trained.safetensors", thawed.state_dict())
        arrays["trained_logits"] = logits(thawed, inputs)
        arrays["frozen_losses"] = train(frozen, inputs, labels, FROZEN[name], rate)
        arrays["frozen_logits"] = logits(frozen, inputs)
        np.savez_compressed(f"{name}.npz", **arrays)
        print(name, arrays["losses"][[0, -1]], arrays["frozen_losses"][[0, -1]])


if __name__ == "__main__":
    main()
