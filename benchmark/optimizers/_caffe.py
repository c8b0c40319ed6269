"""Caffe's form of momentum as a torch optimizer. Imported when one is built, since it needs torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class CaffeSGD(torch.optim.Optimizer):
    """v = momentum v + lr (g + weight_decay w); w -= v, for all weights of a group in a few operations.

    The rate of the moment goes into the velocity, so a drop of the rate takes about 1 / (1 - momentum) steps to act. At a constant rate it
    is torch's SGD. Weights without a gradient are left as they are.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], *, lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # no closure: one look at the loss a step is all SGD needs
        assert closure is None, "expected no closure"
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            velocities = [self._velocity(weight) for weight in weights]
            gradients: Any = [weight.grad for weight in weights]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, gradients, alpha=group["lr"])
            torch._foreach_sub_(weights, velocities)

    def _velocity(self, weight: torch.Tensor) -> torch.Tensor:
        state: dict[str, torch.Tensor] = self.state[weight]
        if not state:
            state["velocity"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        return state["velocity"]
