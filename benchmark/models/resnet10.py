"""ResNet-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.models import Model
from benchmark.models._init import CHOICES, Initialisation, initialise
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (64, 128, 256, 512)
LEAST = {"imagenet": 32, "cifar": 8}
"""Smallest side: the last map then has one place."""


@plugin("resnet10")
class ResNet10(Model):
    """A stem, four basic residual blocks (64, 128, 256, 512 channels, all but the first of stride 2), global average pooling, linear head.

    5,418,792 parameters on 224 x 224 colour images with 1000 classes. The paper shows the block in a figure only: post-activation and a
    1x1 projection with batch norm where the shape changes are our choice. `dropout` acts before the last layer.
    """

    source = "Buda et al. 2018, section 3.3.3; Simon et al. 2016 (ResNet-10); He et al. 2016"

    stem: str = parameter(
        "imagenet", doc="imagenet: conv 7x7 of stride 2, max pooling; cifar: conv 3x3, for small images", choices=("imagenet", "cifar")
    )
    pre_activation: bool = parameter(False, doc="norm and ReLU before each convolution rather than after it")
    projection_norm: bool = parameter(True, doc="batch norm after the 1x1 convolution of a shortcut")
    init: Initialisation = parameter("msra", doc="weight initialisation", choices=CHOICES)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: ARG002  # any number of classes will do
        _, height, width = image_shape
        least = LEAST[self.stem]
        if min(height, width) < least:
            hint = " or take `stem: cifar`" if self.stem == "imagenet" else ""
            raise InvalidValue(
                f"resnet10 with the stem '{self.stem}' needs images of at least {least} x {least}, found {height} x {width}: "
                f"set the data set's size{hint}."
            )

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        from torch import nn

        from benchmark.models._residual import BasicBlock

        module, inner = self._stem(image_shape[0]), WIDTHS[0]
        for number, width in enumerate(WIDTHS, start=1):
            stride = 1 if number == 1 else 2
            block = BasicBlock(inner, width, stride, pre_activation=self.pre_activation, projection_norm=self.projection_norm)
            module.add_module(f"block{number}", block)
            inner = width
        if self.pre_activation:  # the sum of the last block has had neither
            module.add_module("norm", nn.BatchNorm2d(inner))
            module.add_module("relu", nn.ReLU())
        module.add_module("average", nn.AdaptiveAvgPool2d(1))
        module.add_module("flatten", nn.Flatten())
        if self.dropout:
            module.add_module("dropout", nn.Dropout(self.dropout))
        module.add_module("head", nn.Linear(inner, num_classes))
        initialise(module, self.init)
        return module

    def _stem(self, channels: int) -> nn.Sequential:
        from torch import nn

        large = self.stem == "imagenet"
        module = nn.Sequential()
        kernel, stride, padding = (7, 2, 3) if large else (3, 1, 1)
        module.add_module("conv0", nn.Conv2d(channels, WIDTHS[0], kernel, stride, padding, bias=False))
        module.add_module("norm0", nn.BatchNorm2d(WIDTHS[0]))
        module.add_module("relu0", nn.ReLU())
        if large:
            module.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        return module
