"""The all convolutional network as Buda et al. use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.models import Model
from benchmark.models._init import CHOICES, Initialisation, initialise
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import nn


@plugin("all-cnn")
class AllCNN(Model):
    """Seven convolutions of 3x3 and two of 1x1 (widths w and 2w), each with ReLU, two of them of stride 2; then global average pooling.

    1,369,738 parameters on 32 x 32 colour images with ten classes; 86,698 at width 24. The last ReLU acts on the class maps, so logits are
    never negative. `head` is the two 1x1 convolutions with what follows them: the part that phase 2 of two-phase training updates.
    """

    source = "Buda et al. 2018, Table 3; All-CNN-C of Springenberg et al. 2015"

    dropout: float = parameter(0.5, doc="probability of dropping a unit after each convolution of stride 2", low=0, high=0.95)
    input_dropout: float = parameter(0.2, doc="probability of dropping a pixel's channel of the input", low=0, high=0.95)
    width: int = parameter(96, doc="channels of the first three convolutions; those after them have twice as many", low=1, high=1024)
    final_relu: bool = parameter(True, doc="ReLU on the class maps, as printed")
    init: Initialisation = parameter("xavier_fan_in", doc="weight initialisation; xavier_fan_in is Caffe's", choices=CHOICES)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: ARG002  # any number of classes will do
        _, height, width = image_shape
        if min(height, width) < 9:
            raise InvalidValue(f"all-cnn needs images of at least 9 x 9, found {height} x {width}: set the data set's size.")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        from torch import nn

        small, large = self.width, 2 * self.width
        module, channels = nn.Sequential(), image_shape[0]
        if self.input_dropout:
            module.add_module("dropout0", nn.Dropout(self.input_dropout))
        layers = ((small, 1, 1), (small, 1, 1), (small, 2, 1), (large, 1, 1), (large, 1, 1), (large, 2, 1), (large, 1, 0))
        for number, (size, stride, padding) in enumerate(layers, start=1):
            module.add_module(f"conv{number}", nn.Conv2d(channels, size, 3, stride, padding))
            module.add_module(f"relu{number}", nn.ReLU())
            if self.dropout and stride == 2:
                module.add_module(f"dropout{number}", nn.Dropout(self.dropout))
            channels = size
        module.add_module("head", self._head(channels, num_classes))
        initialise(module, self.init)
        return module

    def _head(self, channels: int, num_classes: int) -> nn.Module:
        from torch import nn

        head = nn.Sequential()
        head.add_module("conv8", nn.Conv2d(channels, channels, 1))
        head.add_module("relu8", nn.ReLU())
        head.add_module("conv9", nn.Conv2d(channels, num_classes, 1))
        if self.final_relu:
            head.add_module("relu9", nn.ReLU())
        head.add_module("average", nn.AdaptiveAvgPool2d(1))
        head.add_module("flatten", nn.Flatten())
        return head
