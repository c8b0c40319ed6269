"""Thresholding: divide the network's class probabilities by the class priors of the imbalanced set."""

from __future__ import annotations

import math

from benchmark.errors import InvalidValue
from benchmark.methods import Adjust, Finetune, Method, Step, Train
from benchmark.methods.none import NoMethod
from benchmark.records import Problem
from benchmark.registry import parameter, plugin


@plugin("thresholding")
class Thresholding(Method):
    """Choose the class of largest p_c / π_c, on top of any base method; nothing is trained again.

    The prior π_c is the share of class c among the unique images of the imbalanced set, *before* any sampling, also
    where the base method samples (as published); with `priors: effective` its share of the images that the base method trained on last,
    so that after full sampling no decision changes. In logarithms log π_c is subtracted from the log-probability of class c, and rows are
    not renormalised, so the one-vs-rest AUC is that of the base method.
    """

    source = "Buda et al. 2018, §2.2 and §3.2 (method 6 and 7 of the digest; §10, item 1 on the priors)"

    base: Method = parameter(NoMethod(), doc="the method whose network is used")
    priors: str = parameter(
        "imbalanced", doc="class shares before the base method's sampling (imbalanced) or after it", choices=("imbalanced", "effective")
    )

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        steps = self.base.steps(problem)
        counts = effective_counts(steps, problem) if self.priors == "effective" else problem.class_counts
        empty = [name for name, n in zip(problem.class_names, counts, strict=True) if n == 0]
        if empty:
            raise InvalidValue(f"thresholding divides by class priors, and class '{empty[0]}' has no training image.")
        total = sum(counts)
        return (*steps, Adjust(by=self, offset=tuple(math.log(n / total) for n in counts)))


def effective_counts(steps: tuple[Step, ...], problem: Problem) -> tuple[int, ...]:
    """Images per class of the set that the last training of these steps saw; fine-tuning sees the imbalanced set."""
    trained = [step for step in steps if isinstance(step, Train | Finetune)][-1]
    sampled = trained.class_counts if isinstance(trained, Train) else None
    return sampled or problem.class_counts
