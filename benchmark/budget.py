"""Keeping to a budget: complete sets of seeds are kept, from the front of the plan; what is dropped is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from benchmark.cells import Cell
from benchmark.errors import UserError
from benchmark.plan import Plan, PlannedCell
from benchmark.price import Bill

Group = tuple[str, int]
"""A condition (everything but the method) and a seed: what paired comparisons need whole."""


@dataclass(frozen=True)
class Kept:
    """The cells that fit into a budget, in plan order, and what was dropped in words."""

    cells: tuple[Cell, ...]
    dropped: tuple[str, ...]
    seconds: float


def fit(plan: Plan, made: Bill, budget: float) -> Kept:
    """The longest front of the plan that fits: seed by seed over all conditions, all methods of a condition or none.

    UserError where prices are not known or where not even the first set fits.
    """
    if made.unknown:
        raise UserError(
            f"--budget needs prices, and {len(made.unknown)} stages have none: `skewbench plan SUITE --probe` measures a few steps of each."
        )
    groups = _groups(plan)
    todo = {stage.key for stage in made.todo}
    kept = _front(groups, made, budget, todo)
    if not kept:
        least = made.overhead + _price(_missing(groups[0][1], todo), made) / made.slots
        raise UserError(f"--budget: {budget:.0f} s are not enough for one seed of one condition, which takes about {least:.0f} s.")
    names = {group for group, _ in kept}
    cells = tuple(planned.cell for planned in plan.cells if _group(planned) in names)
    dropped = Counter(condition for (condition, _), _ in groups[len(kept) :])
    words = tuple(f"{condition}: {number} seed{'s' * (number > 1)} dropped" for condition, number in dropped.items())
    return Kept(cells, words, made.overhead + _price(_missing([each for _, members in kept for each in members], todo), made) / made.slots)


def _groups(plan: Plan) -> list[tuple[Group, list[PlannedCell]]]:
    """Seed by seed, in each the conditions in plan order."""
    found: dict[Group, list[PlannedCell]] = {}
    for planned in plan.cells:
        found.setdefault(_group(planned), []).append(planned)
    conditions = {condition: number for number, condition in enumerate(dict.fromkeys(condition for condition, _ in found))}
    seeds: dict[str, list[int]] = {}
    for condition, seed in found:
        seeds.setdefault(condition, []).append(seed)
    return sorted(found.items(), key=lambda item: (seeds[item[0][0]].index(item[0][1]), conditions[item[0][0]]))


def _group(planned: PlannedCell) -> Group:
    config = planned.cell.config
    return " · ".join(part.text for part in (config.dataset, config.imbalance, config.model, config.recipe)), planned.cell.seed


def _front(
    groups: Sequence[tuple[Group, list[PlannedCell]]], made: Bill, budget: float, todo: Container[str]
) -> list[tuple[Group, list[PlannedCell]]]:
    counted: set[str] = set()
    spent = 0.0
    kept = []
    for group, members in groups:
        new = _missing(members, todo) - counted
        spent += _price(new, made)
        if spent and made.overhead + spent / made.slots > budget:
            break
        counted |= new
        kept.append((group, members))
    return kept


def _missing(members: Sequence[PlannedCell], todo: Container[str]) -> set[str]:
    """The keys of the stages that these cells need and that are to be done."""
    return {stage.key for planned in members if planned.work for stage in planned.work.last.chain if stage.key in todo}


def _price(keys: Iterable[str], made: Bill) -> float:
    return sum(made.seconds[key].seconds for key in keys)
