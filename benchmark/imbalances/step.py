"""Step imbalance: some classes are rare, all equally so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import RAREST, ClassName, check_order, labels_of, rarest_first
from benchmark.imbalances._profile import kept, largest_count, whole
from benchmark.registry import parameter, plugin


@plugin("step")
class Step(Imbalance):
    """Minority classes keep floor(n_max / ratio) images, the others n_max.

    A fraction `minority` of the K classes is rare: round-half-up(minority * K) of them, at least 1 and at most K - 1. Whatever the
    order, the minority classes of a smaller fraction are among those of a larger one. `small-first`: the classes that have fewer than
    n_max images to begin with are always rare, the other rare ones are random.
    """

    source = "Buda et al. 2018, section 3.1, eq. 1 and 2"
    example: ClassVar[Mapping[str, Any]] = {"ratio": 10, "minority": 0.5}

    ratio: float = parameter(doc="images of a majority class over images of a minority class", low=1, log=True)
    minority: float | None = parameter(
        None, doc="fraction of the classes that are rare (needless where `classes` lists them)", above=0, high=1
    )
    classes: str | tuple[ClassName, ...] = parameter(
        "lowest",
        doc="which are rare: lowest or highest labels, random (by seed), small-first (those below n_max, then random), or a list of them",
    )
    n_max: int | None = parameter(None, doc="images of a majority class; unset: what the smallest class has", low=1)

    def __post_init__(self) -> None:
        check_order(self.classes, known=(*RAREST, "small-first"))
        if isinstance(self.classes, str) and self.minority is None:
            raise InvalidValue(
                "imbalance 'step' needs the parameter 'minority' (fraction of rare classes), or `classes` as a list of them."
            )
        if self.classes == "small-first" and self.n_max is None:
            raise InvalidValue("`classes: small-first` needs `n_max`: without it no class has fewer images than a majority class keeps.")

    def counts(self, classes: Classes) -> tuple[int, ...]:
        large = largest_count(self.n_max, self.ratio, classes, random=self.classes == "random")
        rare = set(self._rare(classes))
        return kept({label: whole(large / self.ratio) if label in rare else large for label in range(len(classes.names))}, classes)

    def _rare(self, classes: Classes) -> tuple[int, ...]:
        num_classes = len(classes.names)
        asked = None if self.minority is None else max(1, math.floor(self.minority * num_classes + 0.5 + 1e-9))
        listed = None if isinstance(self.classes, str) else labels_of(self.classes, classes.names)
        if listed is not None and asked is not None and len(listed) != asked:
            raise InvalidValue(
                f"`classes` lists {len(listed)} rare classes and minority {self.minority:g} of {num_classes} classes asks for {asked}: "
                "leave `minority` out, or make them agree."
            )
        rare = self._order(classes, asked or 0)[:asked] if listed is None else listed
        if len(rare) >= num_classes:
            raise InvalidValue(f"all {num_classes} classes would be rare: at most {num_classes - 1} can be.")
        return rare

    def _order(self, classes: Classes, num_rare: int) -> tuple[int, ...]:
        """Every label from the first to be rare."""
        if self.classes != "small-first":
            return rarest_first(self.classes, classes)
        assert self.n_max is not None
        small = [label for label in classes.shuffled if classes.available[label] < self.n_max]
        if len(small) > num_rare:
            label = min(small, key=lambda each: classes.available[each])
            raise InvalidValue(
                f"{len(small)} classes have fewer than n_max = {self.n_max} images ('{classes.names[label]}' has "
                f"{classes.available[label]}) and must all be rare, but minority {self.minority:g} of {len(classes.names)} classes makes "
                f"{num_rare} rare: take a smaller n_max or a larger minority."
            )
        return (*small, *(label for label in classes.shuffled if label not in small))
