"""A small convolutional network for any image size from 8 x 8 up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.models import Model
from benchmark.models._init import CHOICES, Initialisation, initialise
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import nn


@plugin("small-cnn")
class SmallCNN(Model):
    """Three blocks of conv 3x3, batch norm, ReLU and max pooling (widths w, 2w, 4w), global average pooling, linear head."""

    width: int = parameter(16, doc="channels of the first block", low=1, high=1024)
    init: Initialisation = parameter("msra", doc="weight initialisation", choices=CHOICES)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: ARG002  # any number of classes will do
        _, height, width = image_shape
        if min(height, width) < 8:
            raise InvalidValue(f"small-cnn needs images of at least 8 x 8, found {height} x {width}: set the data set's size.")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        from torch import nn

        channels, height, width = image_shape
        module = nn.Sequential()
        for block, size in enumerate((self.width, 2 * self.width, 4 * self.width), start=1):
            module.add_module(f"conv{block}", nn.Conv2d(channels, size, 3, padding=1, bias=False))
            module.add_module(f"norm{block}", nn.BatchNorm2d(size))
            module.add_module(f"relu{block}", nn.ReLU())
            module.add_module(f"pool{block}", nn.MaxPool2d(2))
            channels = size
        module.add_module("average", nn.AdaptiveAvgPool2d(1))
        module.add_module("flatten", nn.Flatten())
        if self.dropout:
            module.add_module("dropout", nn.Dropout(self.dropout))
        module.add_module("head", nn.Linear(channels, num_classes))
        initialise(module, self.init)
        return module
