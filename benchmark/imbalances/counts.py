"""Counts given one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.imbalances._order import ClassName, check_order, rarest_first
from benchmark.imbalances._profile import kept
from benchmark.registry import parameter, plugin


@plugin("counts")
class Counts(Imbalance):
    """Each class keeps the number of images given for it; 0 empties a class."""

    source = "for example Mullick et al. 2019 (GAMO), *_process.py"
    may_empty = True
    example: ClassVar[Mapping[str, Any]] = {"keep": [100, 80, 60, 50, 40, 30, 20, 10, 5, 1]}

    keep: tuple[int, ...] = parameter(doc="images to keep, one number a class")
    classes: str | tuple[ClassName, ...] = parameter(
        "labels", doc="which class each number is for: labels (label order), random (by seed), or a list of all classes"
    )

    def __post_init__(self) -> None:
        check_order(self.classes, known=("labels", "random"))
        if not any(self.keep) or min(self.keep) < 0:
            raise InvalidValue(f"expected counts of 0 or more in `keep`, at least one of them above 0, found {list(self.keep)}.")

    def counts(self, classes: Classes) -> tuple[int, ...]:
        if len(self.keep) != len(classes.names):
            raise InvalidValue(f"expected {len(classes.names)} numbers in `keep`, one a class, found {len(self.keep)}.")
        labels = rarest_first("lowest" if self.classes == "labels" else self.classes, classes)
        return kept(dict(zip(labels, self.keep, strict=True)), classes)
