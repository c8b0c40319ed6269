"""Splitting a plan over machines that know nothing of each other: `run --shard 2/5`, then `merge`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from benchmark.cells import Cell
from benchmark.errors import UserError
from benchmark.plan import Plan
from benchmark.price import FORWARD, units


@dataclass(frozen=True)
class Shard:
    """The part `index` (from 1) of `count`."""

    index: int
    count: int


def parse_shard(text: str) -> Shard:
    """`2/5`; UserError for anything else."""
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"--shard {text}: expected i/n with 1 <= i <= n, such as 2/5.")
    return Shard(int(found[1]), int(found[2]))


def part(plan: Plan, shard: Shard) -> list[Cell]:
    """The cells of one shard, in plan order. It depends on the plan alone, so that every machine splits alike.

    Cells that rest on the same training stay together: no stage is computed in two shards. The largest groups are dealt out first,
    each to the shard with the least work so far.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    work: dict[str, dict[str, float]] = defaultdict(dict)
    for number, planned in enumerate(plan.cells):
        stage = planned.work.last.chain[0] if planned.work else None
        name = stage.key if stage else ""  # cells that a rule leaves out cost nothing: all in the first shard
        groups[name].append(number)
        for each in planned.work.last.chain if planned.work else ():
            work[name][each.key] = FORWARD.get(each.op, 1.0) * units(each)
    loads = [0.0] * shard.count
    mine: list[int] = []
    for name in sorted(groups, key=lambda each: (each != "", -sum(work[each].values()), each)):
        target = 0 if name == "" else loads.index(min(loads))
        loads[target] += sum(work[name].values())
        mine += groups[name] if target == shard.index - 1 else []
    return [plan.cells[number].cell for number in sorted(mine)]
