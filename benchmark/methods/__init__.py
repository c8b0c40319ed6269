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


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """Train the network's `head` alone, on the imbalanced set as it is, for the recipe's budget; the rest is frozen in evaluation mode.

    Cross-entropy, the recipe's optimizer with its state at zero, the schedule from its beginning.
    """

    by: Method
    lr_factor: float
    """Times the recipe's learning rate."""
    frozen_dropout: bool = False
    """The frozen part's dropout acts while the head is trained: images go through the network at every step, no features are kept."""


Step = Train | Adjust | Finetune


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
