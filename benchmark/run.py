"""Running a plan: every stage that is missing, once; every cell recorded as it ends; nothing lost on the way."""

from __future__ import annotations

import logging
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from benchmark.arrays import Arrays, DamagedFile
from benchmark.errors import DataError
from benchmark.evaluate import scoring_key
from benchmark.ledger import Ledger, StageRow, now
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell, needed
from benchmark.records import CellResult
from benchmark.results import failed, finished, unscored
from benchmark.stages import CellStages, Stage

log = logging.getLogger(__name__)

LOG_TAIL = 4000
"""Characters of a failure's traceback that are kept."""
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

    def run(self) -> None:
        """Bring every cell to an end; cells at which another process is busy are waited for."""
        rows = self.ledger.stages()
        for stage in needed(self.plan, rows):
            if stage.parent is not None:
                self._children[stage.parent.key].add(stage.key)
        scoring = scoring_key(self.metrics)
        scored = self.ledger.scored(self.plan.suite)
        todo = [planned.work for planned in self.plan.cells if planned.work and not self._settled(planned, scored, scoring)]
        while todo:
            busy = [work for work in todo if not self._finish(work, scoring)]
            if busy:
                self.listener.waiting(len(busy))
                time.sleep(POLL_SECONDS)
            todo = busy

    def _settled(self, planned: PlannedCell, scored: dict[str, tuple[str, str]], scoring: str) -> bool:
        assert planned.work is not None
        status, scored_by = scored.get(planned.work.key, ("", ""))
        ended = planned.state == "done" and status == "ok" and scored_by == scoring
        return ended or (planned.state == "failed" and status in ("failed", "blocked"))

    def _finish(self, work: CellStages, scoring: str) -> bool:
        """Run what a cell lacks and record it; False if another process is at it."""
        try:
            self._ensure(work.last, purpose=work.last)
            result = finished(self.plan.suite, work, self.ledger, self.metrics)
        except _Busy:
            return False
        except _Failed as failure:
            result = failed(self.plan.suite, work, failure.row)
        except DamagedFile as damage:
            log.warning("damaged: %s; computing it again", damage)
            self.ledger.forget([stage.key for stage in work.last.chain])
            return self._finish(work, scoring)
        except (ArithmeticError, ValueError, TypeError, LookupError) as error:  # a metric that cannot score these predictions
            result = unscored(self.plan.suite, work, error)
        self.ledger.record_cell(result, last=work.last.key, scoring=scoring)
        self.listener.cell_ended(result)
        return True

    def _ensure(self, stage: Stage, *, purpose: Stage) -> None:
        """See to it that a stage's result is stored, computing it and what it rests on where needed."""
        row = self.ledger.stage(stage.key)
        if row is not None and row.status == "failed":
            raise _Failed(row)
        if row is not None and row.file is not None:
            if problem := row.file.problem(self.ledger.store):
                raise DamagedFile(problem)
            return
        if stage.parent is not None:
            self._ensure(stage.parent, purpose=purpose)
        if not self.ledger.claim(stage.key, purpose=purpose.key):
            raise _Busy
        try:
            self._compute(stage)
        finally:
            self.ledger.unclaim(stage.key)

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
        self.ledger.record(stage, row, result.arrays)
        self.listener.stage_ended(stage, row)
        self._release_parent(stage)

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

    def _release_parent(self, stage: Stage) -> None:
        """Weights are kept only while a stage of this plan still needs them; predictions always."""
        if stage.parent is None or stage.parent.op != "train" or self.keep_weights:
            return
        waiting = self._children[stage.parent.key]
        waiting.discard(stage.key)
        if not waiting:
            self.ledger.release(stage.parent.key)


def failure_kind(error: Exception) -> str:
    """The kind under which a failure is counted and retried: out-of-memory-device, out-of-memory-host, not-finite, or error (type)."""
    name = type(error).__name__
    kinds = {"OutOfMemoryError": "out-of-memory-device", "MemoryError": "out-of-memory-host", "NotFinite": "not-finite"}
    return kinds.get(name, f"error ({name})")


def retry(plan: Plan, ledger: Ledger, kind: str | None) -> int:
    """Forget the failed stages of a plan, all or those of one kind, so that they run again; how many."""
    rows = ledger.stages()
    keys = [
        key
        for key in plan.stages
        if (row := rows.get(key)) is not None and row.status == "failed" and (kind is None or row.kind.startswith(kind))
    ]
    ledger.forget(keys)
    return len(keys)
