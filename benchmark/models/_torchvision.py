"""Torchvision's classifiers without their classifier. torchvision is imported when a network is built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmark.models._weights import IMAGENET, find, load_file, load_imagenet

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTHS = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 576,
    "mobilenet_v3_large": 960,
    "vgg16": 512,
    "densenet121": 1024,
}
"""Features that each gives, its last map averaged over its places."""
LEAST = 32
"""Smallest side of images: the last map then has one place."""
CLASSIFIERS = ("fc", "classifier")


def base_of(network: str) -> nn.Module:
    """The network with random weights, from images to features [N, D]."""
    from torch import nn
    from torchvision.models import get_model

    module: nn.Module = get_model(network, weights=None)
    if network == "vgg16":  # its own pooling is to 7 x 7 places, for a classifier that goes
        module.avgpool = nn.AdaptiveAvgPool2d(1)
    setattr(module, "fc" if hasattr(module, "fc") else "classifier", nn.Identity())
    return module


def state_of(network: str, weights: str) -> Mapping[str, Tensor]:
    """Torchvision's own weights, or those of a file."""
    found = load_imagenet(network) if weights == IMAGENET else load_file(find(weights))
    return {_renamed(name): tensor for name, tensor in found.items()}


def _renamed(name: str) -> str:
    """DenseNet's published files are older than the names of its layers (`norm.1` for `norm1`), as torchvision's own loader knows."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)
