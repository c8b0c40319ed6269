"""A share of some classes taken away, by either of two rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_keys, labels_of
from benchmark.imbalances._profile import whole
from benchmark.registry import parameter, plugin


@plugin("remove")
class Remove(Imbalance):
    """Some classes lose images, equally many each, the others none.

    `of: class`: each of them keeps floor((1 - share) n_c). `of: training`: `share` of *all* training images goes, taken from these classes
    together in equal parts, each keeping floor(n_c - share N / k). The second is what a script does that draws `int(0.1 * len(train))`
    images to remove from three classes, and is far more per class: with ten equal classes and a share of 0.1 a third instead of a tenth.
    """

    source = "Irfan & Rehman, Tables 2, 4 and 6: readings A (0.1 of class), B (0.1 of training), C (0.5 of class), D (as tabulated)"
    example: ClassVar[Mapping[str, Any]] = {"classes": [0], "share": 0.1}

    classes: tuple[ClassName, ...] = parameter(doc="labels or names of the classes that lose images")
    share: float = parameter(doc="how much goes, as a share of what `of` says", above=0, high=0.99)
    of: str = parameter(
        "class", doc="share of each class, or of the whole training set, from these together", choices=("class", "training")
    )

    def __post_init__(self) -> None:
        check_keys(self.classes)
        if not self.classes:
            raise InvalidValue("expected at least one class in `classes`, found an empty list.")

    def counts(self, classes: Classes) -> tuple[int, ...]:
        labels, found = labels_of(self.classes, classes.names), list(classes.available)
        lost = self.share * sum(found) / len(labels)
        for label in labels:
            found[label] = whole(found[label] * (1 - self.share) if self.of == "class" else found[label] - lost)
            if found[label] < 1:
                raise InvalidValue(
                    f"a share of {self.share:g} of {self.of} leaves nothing of the class '{classes.names[label]}' (label {label}) of "
                    f"{classes.available[label]} images: take a smaller share."
                )
        return tuple(found)
