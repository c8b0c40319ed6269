"""Images taken away from single classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_keys, check_order, permuted
from benchmark.registry import parameter, plugin


@plugin("drop")
class Drop(Imbalance):
    """Named classes lose the number of images given, the others lose none; taking all of them empties a class."""

    source = "n_c - d_c with absolute numbers, as in the hybrid CNN-SVM dissertation"
    may_empty = True
    example: ClassVar[Mapping[str, Any]] = {"remove": {0: 5}}

    remove: Mapping[ClassName, int] = parameter(doc="images to take away, by class (label or name)")
    classes: str | tuple[ClassName, ...] = parameter(
        "labels", doc="which class each entry is for: labels (itself), random (permuted by seed), or a list of all classes"
    )

    def __post_init__(self) -> None:
        check_keys(self.remove)
        check_order(self.classes, known=("labels", "random"))
        if not self.remove or min(self.remove.values()) < 0:
            raise InvalidValue(f"expected classes with numbers of 0 or more in `remove`, found {dict(self.remove)}.")

    def counts(self, classes: Classes) -> tuple[int, ...]:
        removed = dict(zip(permuted(self.remove, self.classes, classes), self.remove.values(), strict=True))
        for label, count in removed.items():
            if count > classes.available[label]:
                name, available = classes.names[label], classes.available[label]
                raise InvalidValue(f"{count} images cannot be removed from the class '{name}' (label {label}): it has {available}.")
        found = tuple(available - removed.get(label, 0) for label, available in enumerate(classes.available))
        if not any(found):
            raise InvalidValue("every class would be empty: leave at least one image.")
        return found
