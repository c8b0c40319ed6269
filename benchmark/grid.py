"""A suite's grids as cells: counted first, each plug-in and each configuration built once, rules applied."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from benchmark.cells import Attribute, Cell, Configuration
from benchmark.datasets import Dataset
from benchmark.errors import UserError
from benchmark.imbalances import Imbalance
from benchmark.language.keys import AXES
from benchmark.language.rules import Rule, command_line_selector, reason
from benchmark.methods import Method
from benchmark.models import Model
from benchmark.recipe import Recipe
from benchmark.selectors import Selector
from benchmark.spec import Grid, Suite

Parts = tuple[Dataset, Imbalance, Method, Model, Recipe]


MAX_EXACT = 20_000
"""Cells up to which a count leaves out what grids share or spell in two ways; above it such cells count more than once."""


def count(suite: Suite) -> int:
    """Cells before rules are applied: exact up to MAX_EXACT, at most so many above it."""
    total = _bound(suite)
    return sum(len(entry.seeds) for entry in _entries(suite)) if total <= MAX_EXACT else total


def _bound(suite: Suite) -> int:
    """As many cells or more than there are, without building any."""
    return sum(grid.size for grid in suite.grids)


def expand(suite: Suite, *, only: Sequence[str] = (), limit: int | None = 100_000) -> tuple[Cell, ...]:
    """Every cell once, seeds innermost; those that a rule leaves out carry the rule in `skip`.

    UserError if there are more than `limit` cells (None: no limit), or if `only` leaves none.
    """
    total = _bound(suite)
    if limit is not None and total > limit:
        raise UserError(
            f"suite '{suite.name}' has {total:,} cells, more than {limit:,}: pass --yes if you mean it, or make a grid smaller."
        )
    wanted = command_line_selector(only)
    cells = tuple(cell for entry in _entries(suite) for cell in _cells(entry, suite.rules, wanted))
    if not cells:
        every = " All of them must hold; either of two values is a list, `--only 'method=[ros,rus]'`." if len(only) > 1 else ""
        raise UserError(f"no cell of suite '{suite.name}' matches {' '.join(f'--only {item}' for item in only)}.{every}")
    return cells


@dataclass
class _Entry:
    """A configuration with its seeds in order; True for those that a grid of `include` asks for."""

    config: Configuration
    seeds: dict[int, bool] = field(default_factory=dict)

    def add(self, grid: Grid) -> None:
        for seed in grid.seeds:
            self.seeds[seed] = grid.exempt or self.seeds.get(seed, False)


def _entries(suite: Suite) -> list[_Entry]:
    """The distinct configurations of all grids. Equal parts are one object, so identities tell configurations apart."""
    found: dict[tuple[int, ...], _Entry] = {}
    for grid in suite.grids:
        for parts in _products(suite, grid):
            key = tuple(map(id, parts))
            if key not in found:
                found[key] = _Entry(Configuration(*parts))
            found[key].add(grid)
    return list(found.values())


def _products(suite: Suite, grid: Grid) -> Iterator[Parts]:
    plugins = [suite.builder.plugins(AXES[axis], choice) for axis, choice in grid.axes.items()]
    return cast(Iterator[Parts], itertools.product(*plugins, suite.builder.recipes(grid.recipe)))


def _cells(entry: _Entry, rules: Sequence[Rule], wanted: Selector) -> Iterator[Cell]:
    if not rules and not wanted.conditions:
        yield from (Cell(entry.config, seed) for seed in entry.seeds)
        return
    if wanted.uses_seed or any(rule.uses_seed for rule in rules):
        for seed, exempt in entry.seeds.items():
            yield from _ruled(entry.config, {seed: exempt}, rules, wanted)
        return
    yield from _ruled(entry.config, entry.seeds, rules, wanted)


def _ruled(config: Configuration, seeds: dict[int, bool], rules: Sequence[Rule], wanted: Selector) -> Iterator[Cell]:
    """Cells whose seeds all fare alike: the rules are asked once, with the first seed."""
    attributes: dict[str, Attribute] = {**config.attributes, "seed": next(iter(seeds))}
    if wanted.matches(attributes):
        skip = reason(rules, attributes)
        yield from (Cell(config, seed, "" if exempt else skip) for seed, exempt in seeds.items())
