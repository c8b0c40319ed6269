"""A fraction of single classes kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_keys, check_order, permuted
from benchmark.imbalances._profile import whole
from benchmark.registry import parameter, plugin


@plugin("keep-fraction")
class KeepFraction(Imbalance):
    """Named classes keep floor(fraction * available) images, the others all of theirs; a fraction of 0 empties a class."""

    source = "int(n * (1 - drop)), single classes one after the other: IBM/BAGAN"
    may_empty = True
    example: ClassVar[Mapping[str, Any]] = {"fractions": {0: 0.5}}

    fractions: Mapping[ClassName, float] = parameter(doc="share of the images to keep, by class (label or name), each from 0 to 1")
    classes: str | tuple[ClassName, ...] = parameter(
        "labels", doc="which class each entry is for: labels (itself), random (permuted by seed), or a list of all classes"
    )

    def __post_init__(self) -> None:
        check_keys(self.fractions)
        check_order(self.classes, known=("labels", "random"))
        if not self.fractions or not all(0 <= fraction <= 1 for fraction in self.fractions.values()):
            raise InvalidValue(f"expected classes with fractions from 0 to 1 in `fractions`, found {dict(self.fractions)}.")

    def counts(self, classes: Classes) -> tuple[int, ...]:
        found = list(classes.available)
        for label, fraction in zip(permuted(self.fractions, self.classes, classes), self.fractions.values(), strict=True):
            found[label] = whole(fraction * classes.available[label])
            if found[label] == 0 and fraction > 0:
                name, available = classes.names[label], classes.available[label]
                least = math.ceil(1e4 / available) / 1e4 if available else 0
                hint = f"at least {least:g} leaves one, 0 empties it on purpose" if available else "it has none to begin with"
                raise InvalidValue(
                    f"the fraction {fraction:g} leaves no image in the class '{name}' (label {label}) of {available}: {hint}."
                )
        if not any(found):
            raise InvalidValue("every class would be empty: leave at least one image.")
        return tuple(found)
