"""The cells of a run: which wait for which stage, and how each is scored and recorded as it ends."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.arrays import DamagedFile
from benchmark.errors import LedgerError
from benchmark.evaluate import scoring_key
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell
from benchmark.records import CellResult
from benchmark.results import SCORING_FAILED, failed, finished, unscored
from benchmark.rows import Scored, StageRow
from benchmark.stages import CellStages, Stage

log = logging.getLogger(__name__)

MAX_DAMAGES = 3
"""How often files of one stage or cell may turn out damaged in one run before it is the disk's fault."""


@dataclass
class Scoring:
    """Cells on their way to a recorded result."""

    plan: Plan
    ledger: Ledger
    metrics: Sequence[Metric]
    tell: Callable[[CellResult], None]
    _waiting: dict[str, list[CellStages]] = field(default_factory=lambda: defaultdict(list))
    """By the key of a stage: the cells whose chain it stands in."""
    _ready: deque[CellStages] = field(default_factory=deque)
    _damages: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._scoring = scoring_key(self.metrics)

    def prepare(self, missing: Mapping[str, Stage], rows: Mapping[str, StageRow]) -> None:
        """Sort the cells of the plan: settled, waiting for `missing` stages, ready to be scored, failed and not yet recorded."""
        scored = self.ledger.scored(self.plan.suite)
        for cell in self.plan.cells:
            if cell.work is None or _settled(cell, scored.get(cell.work.key), self._scoring):
                continue
            if cell.work.last.key in missing:
                self.wait(cell.work)
            else:
                self._settle(cell.work, rows)

    def wait(self, work: CellStages) -> None:
        """A cell's last stage is (again) to be computed."""
        for stage in work.last.chain:
            self._waiting[stage.key].append(work)

    def _settle(self, work: CellStages, rows: Mapping[str, StageRow]) -> None:
        """A cell whose chain has come to an end before this run, one way or the other."""
        failures = [stage.key for stage in work.last.chain if (row := rows.get(stage.key)) and row.status == "failed"]
        row = self.ledger.stage(failures[0]) if failures else None
        if row is not None:
            self._record(work, failed(self.plan.suite, work, row))
        else:
            self._ready.append(work)

    def stage_done(self, stage: Stage) -> None:
        """The cells that end with this stage can be scored."""
        self._ready += [work for work in self._waiting.pop(stage.key, ()) if work.last.key == stage.key]

    def stage_failed(self, stage: Stage, row: StageRow) -> None:
        """Every cell that rests on the stage has failed or is blocked."""
        for work in self._waiting.pop(stage.key, ()):
            self._record(work, failed(self.plan.suite, work, row))

    @property
    def is_waiting(self) -> bool:
        """Whether a cell could be scored now."""
        return bool(self._ready)

    def score_one(self) -> CellStages | None:
        """Score and record the next cell; the cell itself if its predictions turned out damaged and have been taken back."""
        work = self._ready.popleft()
        try:
            self._record(work, self._scored(work))
        except DamagedFile as damage:
            self.count_damage(work.key, str(damage))
            self.wait(work)
            return work
        except LedgerError:
            raise
        except Exception as error:  # a metric may be anybody's code: its failure is this cell's result
            self._record(work, unscored(self.plan.suite, work, error))
        return None

    def _scored(self, work: CellStages) -> CellResult:
        return finished(self.plan.suite, work, self.ledger, self.metrics)

    def count_damage(self, key: str, what: str) -> None:
        """LedgerError if this has happened too often."""
        log.warning("damaged: %s; computing it again", what)
        self._damages[key] += 1
        if self._damages[key] > MAX_DAMAGES:
            raise LedgerError(f"the store {self.ledger.store} keeps damaging its files: {what}. Is the disk sound?")

    def _record(self, work: CellStages, result: CellResult) -> None:
        self.ledger.record_cell(result, last=work.last.key, scoring=self._scoring)
        self.tell(result)


def _settled(planned: PlannedCell, scored: Scored | None, scoring: str) -> bool:
    """Whether a cell has ended and its result is recorded, by these metrics."""
    if scored is None or planned.state not in ("done", "failed"):
        return False
    by_a_stage = planned.state == "failed" and scored.status in ("failed", "blocked") and not scored.reason.startswith(SCORING_FAILED)
    return by_a_stage or scored.scoring == scoring


def retry(plan: Plan, ledger: Ledger, kind: str | None) -> int:
    """Forget the failed stages of a plan, all or those of one kind, and cells that could not be scored; how many."""
    rows, scored = ledger.stages(), ledger.scored(plan.suite)
    stages = [key for key in plan.stages if (row := rows.get(key)) and row.status == "failed" and row.kind.startswith(kind or "")]
    cells = [
        cell.work.key
        for cell in plan.cells
        if cell.work and (found := scored.get(cell.work.key)) and found.reason.startswith(f"{SCORING_FAILED}: {kind or ''}")
    ]
    ledger.forget(stages)
    ledger.forget_cells(plan.suite, cells)
    return len(stages) + len(cells)
