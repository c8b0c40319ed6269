"""Linear imbalance: class sizes at equal distances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_order, rarest_first
from benchmark.imbalances._profile import kept, largest_count, whole
from benchmark.registry import parameter, plugin


@plugin("linear")
class Linear(Imbalance):
    """Class sizes fall from n_max to n_max / ratio by a constant difference, rounded (half up) to whole images."""

    source = "Buda et al. 2018, section 3.1"
    example: ClassVar[Mapping[str, Any]] = {"ratio": 10}

    ratio: float = parameter(doc="images of the most frequent class over images of the rarest", low=1, log=True)
    classes: str | tuple[ClassName, ...] = parameter(
        "lowest", doc="which are the rarest: lowest or highest labels, random (by seed), or a list of all classes from the rarest up"
    )
    n_max: int | None = parameter(None, doc="images of the most frequent class; unset: what the smallest class has", low=1)

    def __post_init__(self) -> None:
        check_order(self.classes)

    def counts(self, classes: Classes) -> tuple[int, ...]:
        large = largest_count(self.n_max, self.ratio, classes, random=self.classes == "random")
        labels = rarest_first(self.classes, classes)
        small, gaps = large / self.ratio, len(labels) - 1
        return kept({label: whole(small + (large - small) * rank / gaps + 0.5) for rank, label in enumerate(labels)}, classes)
