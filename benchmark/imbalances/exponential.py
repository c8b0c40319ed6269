"""Exponential imbalance: the published long tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_order, rarest_first
from benchmark.imbalances._profile import kept, largest_count, whole
from benchmark.registry import parameter, plugin


@plugin("exponential")
class Exponential(Imbalance):
    """The class of rank i (0 the most frequent, of K) keeps n_max * ratio^(-i / (K - 1)) images, truncated."""

    source = "Cui et al. 2019, src/data_utils.py; Cao et al. 2019, imbalance_cifar.py"
    example: ClassVar[Mapping[str, Any]] = {"ratio": 10}

    ratio: float = parameter(doc="images of the most frequent class over images of the rarest", low=1, log=True)
    classes: str | tuple[ClassName, ...] = parameter(
        "highest",
        doc="which are the rarest: highest labels (as published) or lowest, random (by seed), or a list of all from the rarest up",
    )
    n_max: int | None = parameter(None, doc="images of the most frequent class; unset: what the smallest class has", low=1)

    def __post_init__(self) -> None:
        check_order(self.classes)

    def counts(self, classes: Classes) -> tuple[int, ...]:
        large = largest_count(self.n_max, self.ratio, classes, random=self.classes == "random")
        labels = rarest_first(self.classes, classes)
        gaps = len(labels) - 1
        return kept({label: whole(large * self.ratio ** ((rank - gaps) / gaps)) for rank, label in enumerate(labels)}, classes)
