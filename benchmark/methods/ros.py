"""Random minority oversampling (ROS), full or to a target ratio."""

from __future__ import annotations

from benchmark.methods import Method, Step, Train
from benchmark.records import Problem
from benchmark.registry import parameter, plugin


@plugin("ros")
class RandomOversampling(Method):
    """Repeat random images of the smaller classes until the largest is at most `ratio` times the smallest.

    Class i gets max(n_i, round(n_max / ratio)) images: all originals, the rest drawn with replacement, once, before training.
    """

    source = "Buda et al. 2018, §3.2 and §4.5; imbalanced-learn RandomOverSampler"

    ratio: float = parameter(1.0, doc="imbalance ratio to leave; 1 balances the classes completely", low=1, log=True)

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        floor = round(max(problem.class_counts) / self.ratio)
        return (Train(by=self, class_counts=tuple(max(n, floor) if n else 0 for n in problem.class_counts)),)
