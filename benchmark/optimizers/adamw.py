"""AdamW: decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmark.optimizers import Optimizer
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    import torch


@plugin("adamw")
class AdamW(Optimizer):
    """AdamW (decoupled weight decay)."""

    source = "torch.optim.AdamW"

    beta1: float = parameter(0.9, doc="decay of the first moment", low=0, high=0.9999)
    beta2: float = parameter(0.999, doc="decay of the second moment", low=0, high=0.999999)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        import torch

        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(parameters, lr=self.lr, betas=betas, weight_decay=self.weight_decay, fused=True)
