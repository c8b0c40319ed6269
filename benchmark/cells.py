"""A cell: one point of the grid. Configurations are shared objects, so a plan of thousands of cells stays small."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.datasets import Dataset
from benchmark.identity import canonical, digest
from benchmark.imbalances import Imbalance
from benchmark.methods import Method
from benchmark.models import Model
from benchmark.recipe import Recipe
from benchmark.records import Attribute
from benchmark.registry import Plugin, plain

__all__ = ["Attribute", "Cell", "Configuration"]


@dataclass(frozen=True)
class Configuration:
    """A cell without its seed: what a table row or column names."""

    dataset: Dataset
    imbalance: Imbalance
    method: Method
    model: Model
    recipe: Recipe

    @functools.cached_property
    def doc(self) -> Mapping[str, Any]:
        """Every default filled in, as plain JSON."""
        return {item.name: getattr(self, item.name).doc for item in dataclasses.fields(self)}

    @functools.cached_property
    def science(self) -> Mapping[str, Any]:
        """`doc` without places: what identity is made of."""
        return {item.name: getattr(self, item.name).science for item in dataclasses.fields(self)}

    def key(self, fingerprint: str) -> str:
        """Identity, given that of the data: the same for all seeds, and so worked out once."""
        if fingerprint not in self._keys:
            self._keys[fingerprint] = digest(canonical({**self.science, "fingerprint": fingerprint}))
        return self._keys[fingerprint]

    @functools.cached_property
    def _keys(self) -> dict[str, str]:
        return {}

    @functools.cached_property
    def attributes(self) -> Mapping[str, Attribute]:
        """Flat and dotted, for rules, tables and filters: `method` is the name, `imbalance.ratio` its parameter."""
        found: dict[str, Attribute] = {}
        for item in dataclasses.fields(self):
            found.update(_flat(item.name, getattr(self, item.name)))
        return found


@dataclass(frozen=True)
class Cell:
    """One point of the grid. `skip` names the rule and the reason if a rule of the suite leaves it out."""

    config: Configuration
    seed: int
    skip: str = ""


def _flat(name: str, part: Plugin | Recipe) -> Iterator[tuple[str, Attribute]]:
    if isinstance(part, Plugin):
        yield name, part.name
    for item in dataclasses.fields(part):
        value = getattr(part, item.name)
        key = f"{name}.{item.name}"
        if isinstance(value, Plugin):
            yield from _flat(key, value)
        else:
            yield key, value if isinstance(value, str | int | float | bool | None) else canonical(plain(value))
