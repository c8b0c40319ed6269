"""Contract of a model: a network for an image shape and a number of classes, whose last layer is called `head`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmark.registry import Plugin, parameter

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Model(Plugin, ABC):
    """A network. `build` runs under a seeded global generator: take all randomness from torch's default one."""

    kind: ClassVar[str] = "models"

    dropout: float = parameter(0.0, doc="probability of dropping a unit, where the model has a place for it", low=0, high=0.95)

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: B027  # most models have nothing to refuse
        """Raise InvalidValue if the network cannot take such images (C, H, W) or so many classes. Called while planning: no torch."""

    @abstractmethod
    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """A module from images [N, C, H, W] (float, 0 to 1) to logits [N, K], with a submodule named `head`.

        Called with what `check` lets through.
        """
