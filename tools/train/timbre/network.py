"""The network that hears one window: a picture (64, 128) to a vector of length 1 and a guess of the class."""

import torch
from torch import nn
from torch.nn import functional

from . import classes, image

DIMENSIONS = 96
DESCRIPTION = 3 * 192  # what the window's columns come down to, before the vector


def block(inputs, outputs, kernel, stride=1, groups=1):
    padding = kernel // 2 if isinstance(kernel, int) else tuple(size // 2 for size in kernel)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, beside a shortcut where the shape stays."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.steps = nn.Sequential(block(inputs, inputs, 3, stride, inputs), block(inputs, outputs, 1))
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x):
        return x + self.steps(x) if self.shortcut else self.steps(x)


class Network(nn.Module):
    def __init__(self, width=1.0):
        super().__init__()
        self.width = width
        wide = lambda channels: int(channels * width) // 8 * 8
        self.body = nn.Sequential(
            block(1, wide(24), 5, 2),
            block(wide(24), wide(48), 3, 2),
            block(wide(48), wide(96), 3, (2, 1)),
            Separable(wide(96), wide(96)),
            Separable(wide(96), wide(160), 2),
            Separable(wide(160), wide(160)),
            Separable(wide(160), wide(160)),
        )
        # One filter over the whole of the frequency axis: what is low and what
        # is high differs, so these rows are not pooled.
        self.column = nn.Sequential(
            nn.Conv2d(wide(160), 192, (4, 1), bias=False), nn.BatchNorm2d(192), nn.ReLU(inplace=True)
        )
        self.time = block(192, 192, (1, 3), 1, 192)
        self.drop = nn.Dropout(0.2)
        self.vector = nn.Linear(DESCRIPTION, DIMENSIONS)
        self.guess = nn.Linear(DESCRIPTION, len(classes.CLASSES))
        self.program = nn.Linear(DESCRIPTION, 128)  # only while training

    def describe(self, pictures):
        """(n, 1, 64, 128) from 0 to 1 to (n, 576): mean, maximum and deviation over time of 192 channels."""
        x = self.column(self.body(pictures * 2.0 - 1.0))
        x = (x + self.time(x))[:, :, 0]
        mean = x.mean(2)
        deviation = torch.sqrt(((x - mean[:, :, None]) ** 2).mean(2) + 1e-5)
        return torch.cat([mean, x.amax(2), deviation], 1)

    def forward(self, pictures):
        """The unit vector (n, 96), the classes' logits (n, classes) and the description (n, 576)."""
        description = self.describe(pictures)
        dropped = self.drop(description)
        return functional.normalize(self.vector(dropped), dim=1), self.guess(dropped), description


def as_input(stored):
    """Stored pictures, uint8 (n, 64, 128), as the network's input."""
    return torch.from_numpy(stored)[:, None].float() / 255.0


assert (image.BANDS, image.COLUMNS) == (64, 128), "the network's strides are made for this picture"
