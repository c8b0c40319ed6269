"""MNIST: handwritten digits."""

from __future__ import annotations

from benchmark.datasets._mnist import IdxDataset
from benchmark.registry import plugin


@plugin("mnist")
class MNIST(IdxDataset):
    """70,000 handwritten digits, grey, 28x28: 60,000 to train (5,421 to 6,742 a class) and 10,000 to test."""

    source = "LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition"
    torchvision_folder = "MNIST"
    class_names = tuple("0123456789")
