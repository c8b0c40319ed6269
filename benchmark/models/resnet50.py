"""ResNet-50."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.models._torchvision import CLASSIFIERS, LEAST, WIDTHS, base_of, state_of
from benchmark.models._transfer import Transfer
from benchmark.registry import plugin

if TYPE_CHECKING:
    from torch import Tensor, nn


@plugin("resnet50")
class ResNet50(Transfer):
    """Torchvision's ResNet-50 without its classifier (23,508,032 weights, 83.4 M multiply-accumulates on 32 x 32), and a head.

    With 1,024 dense units and ten classes the head has 2,108,426 weights. On 32 x 32 the last map has one place, so flattening and global
    average pooling give the same 2,048 features. Keras' ResNet50 strides another convolution and has biases: slightly another network.
    """

    source = "He et al. 2016; used by Irfan & Rehman (ResNet50 on CIFAR-10 and Fashion-MNIST)"
    example: ClassVar[Mapping[str, Any]] = {"weights": "none"}
    dropped = (*Transfer.dropped, *CLASSIFIERS)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().check(image_shape, num_classes)
        if self.size < LEAST:
            raise InvalidValue(f"resnet50 needs images of at least {LEAST} x {LEAST}, found size {self.size}.")

    def base_width(self) -> int:
        return WIDTHS["resnet50"]

    def random_base(self) -> nn.Module:
        return base_of("resnet50")

    def pretrained(self) -> Mapping[str, Tensor]:
        return state_of("resnet50", self.weights)
