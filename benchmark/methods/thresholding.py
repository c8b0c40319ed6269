"""Thresholding: divide the network's class probabilities by the class priors of the imbalanced set."""

from __future__ import annotations

import math

from benchmark.errors import InvalidValue
from benchmark.methods import Adjust, Method, Step
from benchmark.methods.none import NoMethod
from benchmark.records import Problem
from benchmark.registry import parameter, plugin


@plugin("thresholding")
class Thresholding(Method):
    """Choose the class of largest p_c / π_c, on top of any base method; nothing is trained again.

    The prior π_c is the share of class c among the unique images of the imbalanced set, *before* any sampling, also
    where the base method samples. In logarithms log π_c is subtracted from the log-probability of class c, and rows are not
    renormalised, so the one-vs-rest AUC is that of the base method.
    """

    source = "Buda et al. 2018, §2.2 and §3.2 (method 6 and 7 of the digest)"

    base: Method = parameter(NoMethod(), doc="the method whose network is used")

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        empty = [name for name, n in zip(problem.class_names, problem.class_counts, strict=True) if n == 0]
        if empty:
            raise InvalidValue(f"thresholding divides by class priors, and class '{empty[0]}' has no training image.")
        total = sum(problem.class_counts)
        return (*self.base.steps(problem), Adjust(by=self, offset=tuple(math.log(n / total) for n in problem.class_counts)))
