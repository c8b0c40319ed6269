"""A straight line to zero."""

from __future__ import annotations

from benchmark.registry import plugin
from benchmark.schedules import Schedule


@plugin("linear")
class Linear(Schedule):
    """1 - t / T with t the step of T: zero is reached when the last step is done."""

    source = "Caffe, SGDSolver 'poly' with power 1; Buda et al. 2018, section 3.3.3"

    def factor(self, step: int, total: int) -> float:
        return 1.0 - step / total
