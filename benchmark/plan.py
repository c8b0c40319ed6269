"""The plan: the cells of a suite as one graph of distinct stages, and the state of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.cells import Cell
from benchmark.datasets import Dataset
from benchmark.ledger import Ledger
from benchmark.records import DatasetInfo, Folders
from benchmark.rows import Scored, StageRow
from benchmark.stages import CellStages, Stage, StageBuilder

State = Literal["done", "new", "stale", "failed", "skipped"]


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its state; `work` is None for a skipped one."""

    cell: Cell
    work: CellStages | None
    state: State
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """Every cell of a suite in suite order, and the stages behind them."""

    suite: str
    cells: tuple[PlannedCell, ...]

    @property
    def stages(self) -> dict[str, Stage]:
        """The distinct stages by key, parents before children."""
        return {stage.key: stage for planned in self.cells if planned.work for stage in planned.work.last.chain}

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of cells in each state."""
        return Counter(planned.state for planned in self.cells)


def make_plan(suite: str, cells: Sequence[Cell], folders: Folders, ledger: Ledger | None, *, scoring: str, share: bool = True) -> Plan:
    """Plan the cells against what the ledger holds; `scoring` is the key of the metrics that are wanted; `share`: see StageBuilder.

    Raises where a data set is absent or a request is impossible.
    """
    builder = StageBuilder(dataset_infos((cell.config.dataset for cell in cells if not cell.skip), folders), share)
    rows = ledger.stages() if ledger else {}
    newest = {row.science_key: row for row in rows.values()}
    scored = ledger.scored(suite) if ledger else {}
    planned = []
    for cell in cells:
        if cell.skip:
            planned.append(PlannedCell(cell, None, "skipped", cell.skip))
            continue
        work = builder.build(cell)
        planned.append(PlannedCell(cell, work, *state_of(work, rows, newest, scored.get(work.key), scoring)))
    return Plan(suite, tuple(planned))


def dataset_infos(datasets: Iterable[Dataset], folders: Folders) -> dict[str, DatasetInfo]:
    """What planning needs of each distinct data set, by its canonical text."""
    found: dict[str, DatasetInfo] = {}
    for dataset in datasets:
        if dataset.text not in found:
            found[dataset.text] = dataset.info(folders)
    return found


def state_of(
    work: CellStages, rows: Mapping[str, StageRow], newest: Mapping[str, StageRow], scored: Scored | None, scoring: str
) -> tuple[State, str]:
    """One function says whether a cell is done, for planner, runner and reports alike."""
    row = rows.get(work.last.key)
    if row is not None and row.damage:
        return "stale", f"damaged: {row.damage}"
    if row is not None and row.file is not None:
        if scored is not None and scored.scoring != scoring:
            return "done", "to be scored by other metrics"
        return ("failed", scored.reason) if scored is not None and scored.status == "failed" else ("done", "")
    for stage in work.last.chain:
        found = rows.get(stage.key)
        if found is not None and found.status == "failed":
            return "failed", f"{found.kind}: {found.message}" + ("" if stage is work.last else f" (in {stage.op} of '{stage.owner}')")
    earlier = newest.get(work.last.science_key)
    if earlier is not None and earlier.key != work.last.key:
        return "stale", "code changed: " + ", ".join(changed(earlier.code, work.last.all_code))
    return "new", ""


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The components whose code key differs."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def needed(plan: Plan, rows: Mapping[str, StageRow]) -> list[Stage]:
    """The stages to compute, parents first: last stages without a result, and parents whose arrays they need.

    A failed stage and everything that rests on it is left out: it is tried again only when the caller forgets its row.
    """
    wanted: dict[str, Stage] = {}
    for planned in plan.cells:
        if planned.work is None or any(_failed(rows.get(stage.key)) for stage in planned.work.last.chain):
            continue
        chain = planned.work.last.chain
        while chain and _missing(rows.get(chain[-1].key)):
            wanted.setdefault(chain[-1].key, chain[-1])
            chain = chain[:-1]
    return _parents_first(wanted)


def _parents_first(wanted: Mapping[str, Stage]) -> list[Stage]:
    """Depth first in cell order, so that each cell ends as early as it can and its arrays can be let go."""
    ordered: dict[str, Stage] = {}
    for last in wanted.values():
        ordered.update({stage.key: stage for stage in last.chain if stage.key in wanted and stage.key not in ordered})
    return list(ordered.values())


def _failed(row: StageRow | None) -> bool:
    return row is not None and row.status == "failed"


def _missing(row: StageRow | None) -> bool:
    return row is None or row.file is None or bool(row.damage)
