"""Weight initialisations by name, Caffe's among them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Initialisation = Literal["xavier_fan_in", "xavier_glorot", "msra", "torch"]
CHOICES = ("xavier_fan_in", "xavier_glorot", "msra", "torch")


def initialise(module: nn.Module, how: Initialisation) -> None:
    """Set the weights of every convolution and linear layer; biases to zero. `torch` leaves torch's own defaults.

    xavier_fan_in: Caffe's "xavier" filler, U(-a, a) with a = sqrt(3 / fan_in); xavier_glorot: a = sqrt(6 / (fan_in + fan_out));
    msra: normal with deviation sqrt(2 / fan_in) (He et al. 2015, eq. 10).
    """
    from torch import nn

    if how == "torch":
        return
    for layer in module.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if how == "xavier_fan_in":
            fan_in = layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -math.sqrt(3 / fan_in), math.sqrt(3 / fan_in))
        elif how == "xavier_glorot":
            nn.init.xavier_uniform_(layer.weight)
        else:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
