"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.optimizers import Optimizer
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    import torch


@plugin("sgd")
class SGD(Optimizer):
    """SGD with (Nesterov) momentum, torch's form: v = momentum v + g; w -= lr v."""

    source = "torch.optim.SGD"

    momentum: float = parameter(0.9, doc="momentum", low=0, high=0.9999)
    nesterov: bool = parameter(False, doc="Nesterov momentum (needs momentum > 0)")

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov, fused=True
        )
