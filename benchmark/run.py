"""Running a plan: every stage that is missing, once; every cell recorded as it ends; nothing lost on the way."""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from benchmark.arrays import Arrays, DamagedFile
from benchmark.errors import DataError, LedgerError
from benchmark.evaluate import scoring_key
from benchmark.ledger import Ledger, Scored, StageRow, now
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell, needed
from benchmark.records import CellResult
from benchmark.results import SCORING_FAILED, failed, finished, unscored
from benchmark.stages import CellStages, Stage

log = logging.getLogger(__name__)

LOG_TAIL = 4000
"""Characters of a failure's traceback that are kept."""
MAX_DAMAGES = 3
"""How often a cell's files may turn out damaged in one run before it is the disk's fault."""
POLL_SECONDS = 0.5
"""How often to look whether another process has finished a stage that this one needs."""


class StageOutcome(Protocol):
    """What an executor returns: see benchmark.execute.stages.StageResult."""

    @property
    def arrays(self) -> Arrays: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def profile(self) -> Mapping[str, float]: ...


class Listener(Protocol):
    """Who wants to know how a run goes on."""

    def stage_started(self, stage: Stage) -> None: ...
    def stage_progress(self, done: int, total: int) -> None: ...
    def stage_ended(self, stage: Stage, row: StageRow) -> None: ...
    def cell_ended(self, result: CellResult) -> None: ...
    def waiting(self, cells: int) -> None: ...


class _Busy(Exception):
    """Another process is at a stage that is needed here."""


class _Failed(Exception):
    """A stage on the way has failed."""

    def __init__(self, row: StageRow) -> None:
        super().__init__(row.message)
        self.row = row


@dataclass
class Runner:
    """Runs the cells of one plan. `execute` computes a stage from its parent's arrays; it is the only part that knows torch."""

    plan: Plan
    ledger: Ledger
    metrics: Sequence[Metric]
    execute: Callable[[Stage, Arrays, Callable[[int, int], None]], StageOutcome]
    context: Callable[[], Mapping[str, Any]]
    listener: Listener
    keep_weights: bool = False
    _children: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _damages: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Bring every cell to an end; cells at which another process is busy are waited for."""
        self.ledger.sweep()
        for stage in needed(self.plan, self.ledger.stages()):
            if stage.parent is not None:
                self._children[stage.parent.key].add(stage.key)
        scoring = scoring_key(self.metrics)
        scored = self.ledger.scored(self.plan.suite)
        todo = [cell.work for cell in self.plan.cells if cell.work and not _settled(cell, scored.get(cell.work.key), scoring)]
        while todo:
            busy = [work for work in todo if not self._finish(work, scoring)]
            if busy:
                self.listener.waiting(len(busy))
                time.sleep(POLL_SECONDS)
            todo = busy

    def _finish(self, work: CellStages, scoring: str) -> bool:
        """Run what a cell lacks and record it; False if another process is at it, or if it must be tried again."""
        try:
            self._ensure(work.last, towards=())
            result = self._scored(work)
        except _Busy:
            return False
        except _Failed as failure:
            result = failed(self.plan.suite, work, failure.row)
        except DamagedFile as damage:
            log.warning("damaged: %s; computing it again", damage)
            self._damages[work.key] += 1
            if self._damages[work.key] > MAX_DAMAGES:
                raise LedgerError(f"the store {self.ledger.store} keeps damaging its files: {damage}. Is the disk sound?") from damage
            return False
        self.ledger.record_cell(result, last=work.last.key, scoring=scoring)
        self.listener.cell_ended(result)
        return True

    def _scored(self, work: CellStages) -> CellResult:
        try:
            return finished(self.plan.suite, work, self.ledger, self.metrics)
        except LedgerError:
            raise
        except Exception as error:  # a metric may be anybody's code: its failure is this cell's result
            return unscored(self.plan.suite, work, error)

    def _ensure(self, stage: Stage, *, towards: tuple[str, ...]) -> None:
        """See to it that a stage's result is stored, computing it and what it rests on where needed; `towards`: the stages it leads to."""
        row = self.ledger.stage(stage.key)
        if row is not None and row.status == "failed":
            raise _Failed(row)
        if row is not None and row.file is not None and not row.damage:
            return
        if row is not None and row.damage:
            log.warning("damaged: %s; computing it again", row.damage)
            self.ledger.forget_damaged(row)
        if stage.parent is not None:
            self._ensure(stage.parent, towards=(stage.key, *towards))
        if not self.ledger.claim(stage.key, towards=towards):
            raise _Busy
        try:
            self._compute(stage)
        except BaseException:
            self.ledger.unclaim(stage.key)
            raise

    def _compute(self, stage: Stage) -> None:
        parent = self._parent_arrays(stage)
        self.listener.stage_started(stage)
        started = now()
        try:
            result = self.execute(stage, parent, self.listener.stage_progress)
        except DataError:  # nothing can be computed from data that is absent or damaged: no stage's fault, and no result
            raise
        except Exception as error:  # the one place where a stage's failure, whatever it is, becomes a result
            row = self._row(stage, started, failure=error)
            self.ledger.record(stage, row)
            self.listener.stage_ended(stage, row)
            raise _Failed(row) from error
        row = self._row(stage, started, result=result)
        self.ledger.record(stage, row, result.arrays, release=self._no_longer_needed(stage))
        self.listener.stage_ended(stage, row)

    def _parent_arrays(self, stage: Stage) -> Arrays:
        if stage.parent is None:
            return {}
        row = self.ledger.stage(stage.parent.key)
        assert row is not None
        return self.ledger.arrays(row)

    def _row(self, stage: Stage, started: float, *, result: StageOutcome | None = None, failure: Exception | None = None) -> StageRow:
        """The row of a stage that has just ended, one way or the other."""
        head = (stage.key, stage.science_key, stage.op, stage.owner, stage.all_code)
        row = StageRow(*head, "ok", context=self.context(), started=started, ended=now())
        if failure is not None:
            tail = "".join(traceback.format_exception(failure))[-LOG_TAIL:]
            message = str(failure) or type(failure).__name__
            return replace(row, status="failed", kind=failure_kind(failure), message=message, log_tail=tail)
        assert result is not None
        return replace(row, facts=result.facts, profile=result.profile)

    def _no_longer_needed(self, stage: Stage) -> list[str]:
        """The parent, if it holds weights which no other stage of this plan still needs; predictions are always kept."""
        if stage.parent is None or stage.parent.op != "train" or self.keep_weights:
            return []
        waiting = self._children[stage.parent.key]
        waiting.discard(stage.key)
        return [] if waiting else [stage.parent.key]


def _settled(planned: PlannedCell, scored: Scored | None, scoring: str) -> bool:
    """Whether a cell has ended and its result is recorded, by these metrics."""
    if scored is None or planned.state not in ("done", "failed"):
        return False
    by_a_stage = planned.state == "failed" and scored.status in ("failed", "blocked") and not scored.reason.startswith(SCORING_FAILED)
    return by_a_stage or scored.scoring == scoring


def failure_kind(error: Exception) -> str:
    """The kind under which a failure is counted and retried: out-of-memory-device, out-of-memory-host, not-finite, or error (type)."""
    name = type(error).__name__
    if name == "OutOfMemoryError":  # torch's, known by name: nothing here imports torch
        return "out-of-memory-device"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        return "out-of-memory-host"
    return "not-finite" if name == "NotFinite" else f"error ({name})"


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
