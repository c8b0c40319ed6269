"""Contract of a preprocessing: what is done to the pixels before a network sees them, learnt from training images alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmark.registry import Plugin, parameter

if TYPE_CHECKING:
    from torch import Tensor

Blocks = Callable[[], Iterator["Tensor"]]
"""The training images anew at each call: blocks of uint8 [B, C, H, W] on the device that computes."""
Transform = Callable[["Tensor"], "Tensor"]
"""Images in uint8 [B, C, H, W] to what stands for them, float32 of the same shape, on the same device. Each image by itself."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Plugin, ABC):
    """Pixels to network inputs. Fitted and applied once, before any training is timed, and shared by all that ask for the same.

    Where a re-split (`train_fraction`) makes the training part, it is the training part of that seed's split.
    """

    kind: ClassVar[str] = "preprocessings"

    fit: str = parameter(
        "train",
        doc="what it is fitted to, never a test image. train: the data set's whole training part, before cap and imbalance, the same for "
        "all cells; cell: the cell's own training images, kept in memory only and fitted again wherever the cell goes on",
        choices=("train", "cell"),
    )

    def check(self, image_shape: tuple[int, int, int]) -> None:  # noqa: B027  # most have nothing to refuse
        """Raise InvalidValue if it cannot take such images (C, H, W). Called while planning: no torch."""

    @abstractmethod
    def learn(self, blocks: Blocks) -> Transform:
        """What to do to any image, learnt from the blocks. The same blocks must give the same transform."""
