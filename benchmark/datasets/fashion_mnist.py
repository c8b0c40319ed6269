"""Fashion-MNIST: articles of clothing."""

from __future__ import annotations

from benchmark.datasets._mnist import IdxDataset
from benchmark.registry import plugin


@plugin("fashion-mnist")
class FashionMNIST(IdxDataset):
    """70,000 pictures of clothing, grey, 28x28: 6,000 a class to train and 1,000 to test."""

    source = "Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747"
    torchvision_folder = "FashionMNIST"
    class_names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
