"""Any of several torchvision classifiers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.models._torchvision import CLASSIFIERS, LEAST, WIDTHS, base_of, state_of
from benchmark.models._transfer import Transfer
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import Tensor, nn


@plugin("torchvision")
class TorchvisionClassifier(Transfer):
    """A torchvision classifier by name, its classifier replaced by our head; the last map is averaged over its places."""

    source = "torchvision.models; the comparison of Irfan & Rehman, Table 11"
    example: ClassVar[Mapping[str, Any]] = {"network": "mobilenet_v3_small", "weights": "none"}
    dropped = (*Transfer.dropped, *CLASSIFIERS)

    network: str = parameter(doc="which one", choices=tuple(WIDTHS))

    @property
    def architecture(self) -> tuple[str, ...]:
        return ("network",)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().check(image_shape, num_classes)
        if self.size < LEAST:
            raise InvalidValue(f"{self.network} needs images of at least {LEAST} x {LEAST}, found size {self.size}.")

    def base_width(self) -> int:
        return WIDTHS[self.network]

    def random_base(self) -> nn.Module:
        return base_of(self.network)

    def pretrained(self) -> Mapping[str, Tensor]:
        return state_of(self.network, self.weights)
