"""Selectors over cells' attributes: pure data, used by rules, claims, references and `--only`. benchmark.language.rules reads them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.records import Attribute

ORDERED: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


@dataclass(frozen=True)
class Test:
    """One comparison. `high` is used by the operator `..` (both ends included) alone."""

    sign: str
    operand: Attribute
    high: float = 0.0

    def holds(self, value: Attribute) -> bool:
        if self.sign == "==":
            return _same(value, self.operand)
        if self.sign == "!=":
            return not _same(value, self.operand)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(self.operand, int | float):
            return False
        return self.operand <= value <= self.high if self.sign == ".." else ORDERED[self.sign](value, self.operand)


@dataclass(frozen=True)
class Condition:
    """An attribute with what it may be: any of the tests. A cell without the attribute does not match."""

    attribute: str
    tests: tuple[Test, ...]

    def holds(self, attributes: Mapping[str, Attribute]) -> bool:
        return self.attribute in attributes and any(test.holds(attributes[self.attribute]) for test in self.tests)


@dataclass(frozen=True)
class Selector:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]

    @property
    def uses_seed(self) -> bool:
        return any(condition.attribute == "seed" for condition in self.conditions)

    def matches(self, attributes: Mapping[str, Attribute]) -> bool:
        return all(condition.holds(attributes) for condition in self.conditions)


def _same(value: Attribute, operand: Attribute) -> bool:
    """Numbers compare as numbers; a boolean equals a boolean only."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    return value == operand
