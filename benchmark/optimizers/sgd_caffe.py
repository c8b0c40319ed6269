"""Stochastic gradient descent with momentum as Caffe has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.optimizers import Optimizer
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    import torch


@plugin("sgd-caffe")
class CaffeSGD(Optimizer):
    """SGD with momentum, Caffe's form: v = momentum v + lr (g + weight_decay w); w -= v.

    At a constant rate it is `sgd`; a drop of the rate acts with a delay of about ten steps at momentum 0.9.
    """

    source = "Caffe, SGDSolver::ComputeUpdateValue; Buda et al. 2018 trained with Caffe"

    momentum: float = parameter(0.9, doc="momentum", low=0, high=0.9999)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        from benchmark.optimizers._caffe import CaffeSGD as Stepper

        return Stepper(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
