"""Caffe's `inv` policy."""

from __future__ import annotations

from benchmark.registry import parameter, plugin
from benchmark.schedules import Schedule


@plugin("inv")
class Inv(Schedule):
    """(1 + gamma t)^-power with t the step: the only schedule in steps rather than fractions, since it is Caffe's."""

    source = "Caffe, SGDSolver 'inv'; Buda et al. 2018, §3.3.1"

    gamma: float = parameter(1e-4, doc="how fast it falls, per step", low=0, log=True)
    power: float = parameter(0.75, doc="exponent", low=0)

    def factor(self, step: int, total: int) -> float:  # noqa: ARG002  # the contract's arguments
        return float((1.0 + self.gamma * step) ** -self.power)
