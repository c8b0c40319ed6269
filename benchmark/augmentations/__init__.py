"""Contract of an augmentation: what is done at random to a batch of training images, on the device that trains, all images at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmark.registry import Plugin

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Augmentation(Plugin, ABC):
    """Training images to training images. Randomness comes from outside, so that a step's images depend on (stage, step) alone."""

    kind: ClassVar[str] = "augmentations"
    draws: ClassVar[int]
    """Random numbers that an image takes."""

    @abstractmethod
    def apply(self, images_BCHW: Tensor, draws_BD: Tensor) -> Tensor:
        """Float images as the network would see them, and `draws` uniform numbers in [0, 1) for each: images of the same shape.

        Each image by itself, without a loop over images.
        """
