"""One of our own networks as the base: trained on other data, kept with `run --keep-weights`, given as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.errors import DataError, InvalidValue
from benchmark.models import Model
from benchmark.models._transfer import Transfer
from benchmark.models._weights import IMAGENET, find, load_file
from benchmark.models.small_cnn import SmallCNN
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import Tensor, nn


@plugin("pretrained")
class Pretrained(Transfer):
    """Any of our networks without its last layer as the base of another one: small networks for transfer where ResNet-50 is too dear.

    `weights` is the file of a training of the same network on images of 3 channels and this size, as `--keep-weights` leaves it: of the
    network itself, or of this model with `freeze: false`.
    """

    example: ClassVar[Mapping[str, Any]] = {"base": {"small-cnn": {"width": 4}}, "weights": "none"}

    base: Model = parameter(SmallCNN(width=16, init="msra"), doc="the network whose last layer is replaced")

    @property
    def architecture(self) -> tuple[str, ...]:
        return ("base",)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().check(image_shape, num_classes)
        if self.weights == IMAGENET:
            raise InvalidValue(f"there are no ImageNet weights of '{self.base.name}': give `weights` as a path, or as none.")
        self.base.check((3, self.size, self.size), num_classes)

    def base_width(self) -> int:
        import torch

        with torch.random.fork_rng(devices=[]):
            return self._network()[1]

    def random_base(self) -> nn.Module:
        return self._network()[0]

    def _network(self) -> tuple[nn.Module, int]:
        from torch import nn

        module = self.base.build((3, self.size, self.size), 2)
        head = module.get_submodule("head")
        if not isinstance(head, nn.Linear):
            raise DataError(f"the last layer of '{self.base.name}' is no linear layer: it cannot be the base of '{self.name}'.")
        module.head = nn.Identity()
        return module, head.in_features

    def pretrained(self) -> Mapping[str, Tensor]:
        return load_file(find(self.weights))
