"""Contract of an imbalance: how many training images each class keeps. It is applied to training data only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from benchmark.registry import Plugin


@dataclass(frozen=True)
class Classes:
    """The classes that an imbalance is applied to."""

    names: tuple[str, ...]
    available: tuple[int, ...]
    """Training images of each class before the imbalance, in label order."""
    shuffled: tuple[int, ...]
    """A permutation of the labels that depends on (data set, seed) alone: what `classes: random` means."""


@dataclass(frozen=True, kw_only=True)
class Imbalance(Plugin, ABC):
    """Turns available counts into counts to keep; which images those are is drawn elsewhere, the same for every method."""

    kind: ClassVar[str] = "imbalances"
    may_empty: ClassVar[bool] = False
    """True where a class with no image left is what the user asked for."""

    @abstractmethod
    def counts(self, classes: Classes) -> tuple[int, ...]:
        """Images to keep of each class, in label order, each in [0, available]; InvalidValue if the request cannot be met."""
