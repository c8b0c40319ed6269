"""Contract of a method: it turns a problem into steps, and there is one training loop for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from benchmark.records import Problem
from benchmark.registry import Plugin

if TYPE_CHECKING:
    from torch import Tensor

Loss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""(logits [N, K], labels [N] int64) to a scalar: the mean over the batch."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a network from scratch."""

    by: Method
    """The method that asks for it: its code and, where it has its own loss, its parameters are part of the identity."""
    class_counts: tuple[int, ...] | None = None
    """Resample the training set to these counts: extra images are drawn with replacement, all originals kept; fewer without."""
    own_loss: bool = False
    """Use `by.loss` instead of cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class Adjust:
    """Subtract a constant per class from stored logits: no training, no model."""

    by: Method
    offset: tuple[float, ...]


Step = Train | Adjust


@dataclass(frozen=True, kw_only=True)
class Method(Plugin, ABC):
    """A way of handling class imbalance. It sees a Problem and never the test set."""

    kind: ClassVar[str] = "methods"

    @abstractmethod
    def steps(self, problem: Problem) -> tuple[Step, ...]:
        """The steps in order, each working on the result of the one before; the first one trains."""

    def loss(self, problem: Problem) -> Loss:
        """The loss of a method that says `own_loss=True`."""
        raise NotImplementedError(f"{self.name} asks for its own loss and does not define one")
