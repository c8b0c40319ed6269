"""Contract of an optimizer: torch's own, with the parameters that a recipe may set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from benchmark.registry import Plugin, parameter

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Optimizer(Plugin, ABC):
    """Makes the optimizer; the schedule multiplies `lr` at every step."""

    kind: ClassVar[str] = "optimizers"

    lr: float = parameter(0.01, doc="base learning rate", above=0, log=True)
    weight_decay: float = parameter(0.0, doc="L2 penalty (AdamW: decoupled decay), on biases too", low=0, log=True)

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer on these parameters."""
