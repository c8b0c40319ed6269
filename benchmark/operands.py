"""What a claim compares: cells, the best or worst of several, differences, trends along an attribute. Each becomes rows of values by seed.

Choosing the best of several by the very values that are compared would favour it: for each seed the choice is made by the other seeds
(with one seed there is no choice, and no value).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from benchmark.records import Attribute, CellResult
from benchmark.selectors import Selector

PAIRED = ("dataset", "imbalance", "model", "recipe")
"""Parts of a cell in which two sides agree, but for the attributes that a claim's own selectors name."""

Attributes = Mapping[str, Attribute]
Place = tuple[tuple[str, Attribute], ...]
"""The attributes in which the sides of a comparison agree."""


class Ambiguous(Exception):
    """An operand stands for several configurations where one is needed."""


@dataclass(frozen=True)
class Row:
    """One configuration, or what was made of several: values by seed, NaN and failed seeds left out."""

    place: Place
    attributes: Attributes
    values: Mapping[int, float]

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.values.values()))) if self.values else math.nan


@dataclass(frozen=True)
class Cells:
    """The cells that a selector matches."""

    where: Selector


@dataclass(frozen=True)
class Constant:
    """The same number for every seed."""

    value: float


@dataclass(frozen=True)
class Pick:
    """The best, or the worst, of the rows of several operands at each place."""

    of: tuple[Operand, ...]
    worst: bool = False


@dataclass(frozen=True)
class Difference:
    """First minus second, seed by seed."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Ratio:
    """First over second, seed by seed; seeds at which the second is 0 are left out."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Trend:
    """How the values run along an attribute, seed by seed: Spearman's coefficient, or the slope per factor of ten of the attribute."""

    of: Operand
    along: str
    statistic: Literal["spearman", "slope"] = "spearman"


@dataclass(frozen=True)
class Peak:
    """Where along an attribute the value is best, seed by seed: log10 of the attribute."""

    of: Operand
    along: str


@dataclass(frozen=True)
class Nearest:
    """Each row of the first minus the row of the second that is nearest to it."""

    of: Operand
    among: Operand


Operand = Cells | Constant | Pick | Difference | Ratio | Trend | Peak | Nearest


@dataclass
class Table:
    """The cells that claims look at, by configuration, read by one metric."""

    cells: Sequence[CellResult]
    metric: str
    higher_is_better: bool
    place: Callable[[Attributes], Place]
    _configs: dict[str, tuple[Attributes, dict[int, float]]] = field(init=False)

    def __post_init__(self) -> None:
        self._configs = {}
        for cell in self.cells:
            _, values = self._configs.setdefault(cell.config_key, (cell.attributes, {}))
            value = cell.value(self.metric)
            if cell.status == "ok" and math.isfinite(value):
                values[cell.seed] = value

    def matching(self, where: Selector) -> list[Row]:
        """The rows whose attributes match; those without a value are there, empty."""
        found = [(attributes, values) for attributes, values in self._configs.values() if where.matches(attributes)]
        return [Row(self.place(attributes), attributes, values) for attributes, values in found]


def rows(operand: Operand, table: Table, along: tuple[str, ...] = ()) -> list[Row]:
    """The rows of an operand. `along`: attributes that belong to the place beyond what the table says."""
    if isinstance(operand, Cells):
        return [_placed(row, along) for row in table.matching(operand.where)]
    if isinstance(operand, Pick):
        return _picked(operand, table, along)
    if isinstance(operand, Difference | Ratio):
        second, combine = by_place(rows(operand.second, table, along)), _minus if isinstance(operand, Difference) else _over
        return [combine(row, second[row.place]) for row in rows(operand.first, table, along) if row.place in second]
    if isinstance(operand, Nearest):
        among = _groups(rows(operand.among, table, along))
        return [_to_nearest(row, among[row.place]) for row in rows(operand.of, table, along) if row.place in among]
    assert not isinstance(operand, Constant), "a constant has no rows"
    return _along(operand, table, along)


def selectors(operand: Operand) -> list[Selector]:
    """Of all the cells that the operand is made of."""
    inner: tuple[Operand, ...] = ()
    if isinstance(operand, Cells):
        return [operand.where]
    if isinstance(operand, Pick):
        inner = operand.of
    elif isinstance(operand, Difference):
        inner = (operand.first, operand.second)
    elif isinstance(operand, Nearest):
        inner = (operand.of, operand.among)
    elif isinstance(operand, Trend | Peak):
        inner = (operand.of,)
    return [each for part in inner for each in selectors(part)]


def by_place(found: Iterable[Row]) -> dict[Place, Row]:
    """One row for each place; Ambiguous where there are several."""
    groups = _groups(found)
    for group in groups.values():
        if len(group) > 1:
            names = sorted({key for row in group for key in row.attributes if row.attributes[key] != group[0].attributes.get(key)})
            raise Ambiguous(f"{len(group)} configurations where one is meant; they differ in {', '.join(names)}")
    return {place: group[0] for place, group in groups.items()}


def _groups(found: Iterable[Row]) -> dict[Place, list[Row]]:
    groups: dict[Place, list[Row]] = defaultdict(list)
    for row in found:
        groups[row.place].append(row)
    return groups


def _placed(row: Row, along: tuple[str, ...]) -> Row:
    extra = {name: row.attributes.get(name) for name in along}
    return Row(tuple(sorted({**dict(row.place), **extra}.items())), row.attributes, row.values)


def _picked(operand: Pick, table: Table, along: tuple[str, ...]) -> list[Row]:
    sign = 1 if table.higher_is_better != operand.worst else -1
    groups = _groups(row for each in operand.of for row in rows(each, table, along))
    return [Row(place, _common(group), _chosen(group, sign)) for place, group in groups.items()]


def _chosen(group: Sequence[Row], sign: int) -> dict[int, float]:
    """At each seed that all have, the value of the row that is best on the other seeds."""
    if len(group) == 1:
        return dict(group[0].values)
    seeds = _shared(group)
    if len(seeds) < 2:
        return {}
    values_RS = np.array([[row.values[seed] for seed in seeds] for row in group])
    others_RS = sign * (values_RS.sum(axis=1, keepdims=True) - values_RS)
    best_S = others_RS.argmax(axis=0)
    return {seed: float(values_RS[best_S[index], index]) for index, seed in enumerate(seeds)}


def _shared(group: Iterable[Row]) -> list[int]:
    return sorted(set.intersection(*(set(row.values) for row in group)))


def _common(group: Sequence[Row]) -> Attributes:
    """The attributes in which all rows agree."""
    first = group[0].attributes
    return {key: value for key, value in first.items() if all(row.attributes.get(key) == value for row in group)}


def _minus(first: Row, second: Row) -> Row:
    shared = _shared((first, second))
    return Row(first.place, _common((first, second)), {seed: first.values[seed] - second.values[seed] for seed in shared})


def _over(first: Row, second: Row) -> Row:
    shared = [seed for seed in _shared((first, second)) if second.values[seed]]
    return Row(first.place, _common((first, second)), {seed: first.values[seed] / second.values[seed] for seed in shared})


def _to_nearest(row: Row, among: Sequence[Row]) -> Row:
    """Nearest by the mean over the other seeds."""
    seeds = _shared([row, *among])
    if len(seeds) < 2:
        return Row(row.place, row.attributes, {})
    gaps_RS = np.array([[row.values[seed] - other.values[seed] for seed in seeds] for other in among])
    nearest_S = np.abs(gaps_RS.sum(axis=1, keepdims=True) - gaps_RS).argmin(axis=0)
    return Row(row.place, row.attributes, {seed: float(gaps_RS[nearest_S[index], index]) for index, seed in enumerate(seeds)})


def _along(operand: Trend | Peak, table: Table, outer: tuple[str, ...]) -> list[Row]:
    found = rows(operand.of, table, (*outer, operand.along))
    groups: dict[Place, list[Row]] = defaultdict(list)
    for row in by_place(found).values():
        groups[tuple(item for item in row.place if item[0] != operand.along)].append(row)
    return [_run(operand, place, group, table) for place, group in groups.items() if len(group) > 1]


def _run(operand: Trend | Peak, place: Place, group: Sequence[Row], table: Table) -> Row:
    points = [(dict(row.place)[operand.along], row) for row in group]
    numbers = [(float(x), row) for x, row in points if isinstance(x, int | float) and not isinstance(x, bool)]
    if len(numbers) < len(points):
        raise Ambiguous(f"'{operand.along}' is no number in every cell: name the cells that have one")
    x_R = np.array([x for x, _ in numbers])
    ordered = [numbers[index][1] for index in np.argsort(x_R)]
    x_R = np.sort(x_R)
    values = {seed: np.array([row.values[seed] for row in ordered]) for seed in _shared(ordered)}
    return Row(place, _common(group), {seed: _statistic(operand, x_R, y_R, table) for seed, y_R in values.items()})


def _statistic(operand: Trend | Peak, x_R: np.ndarray, y_R: np.ndarray, table: Table) -> float:
    if isinstance(operand, Peak):
        return float(np.log10(x_R[y_R.argmax() if table.higher_is_better else y_R.argmin()]))
    if operand.statistic == "slope":
        return float(np.polyfit(np.log10(x_R), y_R, 1)[0])
    return spearman(x_R, y_R)


def spearman(x_R: np.ndarray, y_R: np.ndarray) -> float:
    """Rank correlation with mid-ranks; 0 where one side is constant."""
    first_R, second_R = _ranks(x_R), _ranks(y_R)
    if np.ptp(first_R) == 0 or np.ptp(second_R) == 0:
        return 0.0
    return float(np.corrcoef(first_R, second_R)[0, 1])


def _ranks(values_R: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values_R, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
