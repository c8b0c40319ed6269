"""Values of a suite that know where they were written, and errors that say so."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from benchmark.errors import InvalidValue, Path, UserError
from benchmark.redaction import redact

Key: TypeAlias = str | int
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Place:
    """A point in a file (lines and columns count from 1), or, with line 0, an argument of the command line."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(frozen=True, eq=False)
class Node:
    """A value with its place, its path inside the document and the places of its keys."""

    value: Scalar | dict[Key, Node] | list[Node]
    place: Place
    path: Path = ()
    keys: Mapping[Key, Place] = field(default_factory=dict)

    @property
    def items(self) -> dict[Key, Node]:
        """The entries of a mapping; of anything else, none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def entries(self) -> list[Node]:
        """The entries of a list; anything else is the only entry of its own list."""
        return self.value if isinstance(self.value, list) else [self]

    @functools.cached_property
    def plain(self) -> Any:
        """The value as plain Python."""
        if isinstance(self.value, dict):
            return {key: item.plain for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain for item in self.value]
        return self.value

    @property
    def num_values(self) -> int:
        """This value and all below it."""
        below = self.items.values() if isinstance(self.value, dict) else self.value if isinstance(self.value, list) else ()
        return 1 + sum(item.num_values for item in below)

    def having(self, key: Key, item: Node) -> Node:
        """This mapping (null counts as an empty one) with one entry set, a copy."""
        return Node({**self.items, key: item}, self.place, self.path, {**self.keys, key: item.place})

    def without(self, key: Key) -> Node:
        """This mapping without one entry, a copy."""
        return Node({k: v for k, v in self.items.items() if k != key}, self.place, self.path, self.keys)


class SuiteError(UserError):
    """Something in a suite is wrong: `file:line: path: what was found and what was expected`."""

    def __init__(self, problem: str, *, place: Place, path: Path = ()) -> None:
        where = f"{dotted(path)}: " if path else ""
        super().__init__(redact(f"{place}: {where}{problem}"))  # an argument of the command line is a place too
        self.problem = problem
        self.place = place
        self.path = path


def failure(node: Node, problem: str, *, key: Key | None = None) -> SuiteError:
    """The error at a value, or at one of its keys."""
    return SuiteError(problem, place=node.place if key is None else node.keys.get(key, node.place), path=node.path)


def dotted(path: Path) -> str:
    """A path as it stands in messages: `grid.imbalance#2.step.ratio`, entries of lists counted from 1.

    >>> dotted(("grid", "imbalance", 1, "step"))
    'grid.imbalance#2.step'
    """
    text = "".join(f"#{step + 1}" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def located(error: InvalidValue, node: Node) -> SuiteError:
    """The error of a part that knows no files, at the line that it means: `error.path` is followed down from `node` as far as it goes."""
    for step in error.path[:-1] if error.at_key else error.path:
        below = _below(node, step)
        if below is None:
            return failure(node, error.problem)
        node = below
    return failure(node, error.problem, key=error.path[-1] if error.at_key and error.path else None)


def _below(node: Node, step: Key) -> Node | None:
    if isinstance(node.value, dict):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None
