"""Random majority undersampling (RUS), full or to a target ratio."""

from __future__ import annotations

from benchmark.methods import Method, Step, Train
from benchmark.records import Problem
from benchmark.registry import parameter, plugin


@plugin("rus")
class RandomUndersampling(Method):
    """Drop random images of the larger classes until the largest is at most `ratio` times the smallest.

    Class i keeps min(n_i, round(ratio · n_min)) images, drawn without replacement, once, before training. Classes
    with no image at all do not count as the smallest.
    """

    source = "Buda et al. 2018, §3.2 and §4.5; imbalanced-learn RandomUnderSampler"

    ratio: float = parameter(1.0, doc="imbalance ratio to leave; 1 balances the classes completely", low=1, log=True)

    def steps(self, problem: Problem) -> tuple[Step, ...]:
        ceiling = round(self.ratio * min(n for n in problem.class_counts if n))
        return (Train(by=self, class_counts=tuple(min(n, ceiling) for n in problem.class_counts)),)
