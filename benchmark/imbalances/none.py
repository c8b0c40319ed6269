"""The data as they are."""

from __future__ import annotations

from benchmark.imbalances import Classes, Imbalance
from benchmark.registry import plugin


@plugin("none")
class NoImbalance(Imbalance):
    """Every training image is kept; the data set's natural imbalance stays."""

    may_empty = True

    def counts(self, classes: Classes) -> tuple[int, ...]:
        return classes.available
