"""LeNet-5 as Buda et al. use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.models import Model
from benchmark.models._init import CHOICES, Initialisation, initialise
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import nn


@plugin("lenet5")
class LeNet5(Model):
    """Caffe's LeNet: conv 5x5 of 20 and of 50 with max pooling and no activation, linear 500 + ReLU, linear to the classes.

    431,080 parameters on 28 x 28 grey images with ten classes (not the classical LeNet-5 of 61,706). `dropout` acts before the last layer.
    """

    source = "Buda et al. 2018, Table 2"

    init: Initialisation = parameter("xavier_fan_in", doc="weight initialisation; xavier_fan_in is Caffe's", choices=CHOICES)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: ARG002  # any number of classes will do
        _, height, width = image_shape
        if min(height, width) < 16:
            raise InvalidValue(f"lenet5 needs images of at least 16 x 16, found {height} x {width}: set the data set's size.")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        from torch import nn

        channels, height, width = image_shape
        left = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        module = nn.Sequential()
        module.add_module("conv1", nn.Conv2d(channels, 20, 5))
        module.add_module("pool1", nn.MaxPool2d(2))
        module.add_module("conv2", nn.Conv2d(20, 50, 5))
        module.add_module("pool2", nn.MaxPool2d(2))
        module.add_module("flatten", nn.Flatten())
        module.add_module("hidden", nn.Linear(50 * left[0] * left[1], 500))
        module.add_module("relu", nn.ReLU())
        if self.dropout:
            module.add_module("dropout", nn.Dropout(self.dropout))
        module.add_module("head", nn.Linear(500, num_classes))
        initialise(module, self.init)
        return module
