"""Half a cosine from the base rate to a floor, with a linear warm-up before it."""

from __future__ import annotations

import math

from benchmark.registry import parameter, plugin
from benchmark.schedules import Schedule


@plugin("cosine")
class Cosine(Schedule):
    """Linear warm-up over a fraction of the budget, then half a cosine down to `floor` times the base rate."""

    source = "Loshchilov & Hutter 2017, eq. 5, one period"

    warmup: float = parameter(0.0, doc="fraction of the budget for the warm-up", low=0, high=0.9)
    floor: float = parameter(0.0, doc="last rate as a share of the base rate", low=0, high=1)

    def factor(self, step: int, total: int) -> float:
        ramp = round(self.warmup * total)
        if step < ramp:
            return (step + 1) / ramp
        done = (step - ramp) / max(1, total - ramp)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2
