"""Contract of a model: a network for an image shape and a number of classes, whose last layer is called `head`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
        """A module from images [N, C, H, W] (float) to logits [N, K], with a submodule named `head`.

        Images lie in 0 to 1 unless the recipe preprocesses them. Called with what `check` lets through. If the module has a method
        `penalty`, the scalar that it gives is added to the loss of every training step (and is not part of the loss that is recorded).
        """

    def init_identity(self) -> Mapping[str, Any]:
        """What initial weights depend on besides the seed, as JSON: models that differ elsewhere alone begin alike."""
        return self.science

    # -- a model with a frozen part: the part is run once on each image, and what learns is trained on its features

    def base_identity(self) -> Mapping[str, Any] | None:
        """What the features of the frozen part depend on besides the images, as JSON; None where there is none or nothing is to be kept.

        Neither seed nor head nor regularisation: whatever differs in these alone shares the features.
        """
        return None

    def base_width(self) -> int:
        """Features that the frozen part gives for an image, D."""
        raise NotImplementedError(f"{self.name} has no frozen part")

    def build_base(self, image_shape: tuple[int, int, int]) -> nn.Module:
        """The frozen part, in evaluation mode: images [N, C, H, W] (float) to features [N, D]. Takes nothing from the global generator."""
        raise NotImplementedError(f"{self.name} has no frozen part")

    def build_on_features(self, width: int, num_classes: int) -> nn.Module:
        """What learns: features [N, D] to logits [N, K]. Names of weights, and for one seed their initial values, are those of `build`."""
        raise NotImplementedError(f"{self.name} has no frozen part")
