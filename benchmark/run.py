"""Running a plan: every stage that is missing, once; every cell recorded as it ends; nothing lost on the way."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmark.agenda import Agenda
from benchmark.errors import DataError, LedgerError
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.plan import Plan, needed
from benchmark.records import CellResult
from benchmark.rows import StageRow
from benchmark.scoring import Scoring
from benchmark.stages import KEPT, Stage
from benchmark.tasks import FIXED, Ended, Engine, Event, Execution, Limits, Outcome, Progress, Rungs, Slot, Task

log = logging.getLogger(__name__)

MAX_LOSSES = 3
"""How often a stage may be lost with the machine that computed it before that counts as its failure."""
POLL_SECONDS = 0.5
"""How often to look whether another process has finished a stage that this one needs."""
FINISH_SECONDS = 10.0
"""What stages in flight are given to end after an interruption."""


class Listener(Protocol):
    """Who wants to know how a run goes on."""

    def stage_started(self, stage: Stage, slot: Slot) -> None: ...
    def stage_progress(self, stage: Stage, done: int, total: int) -> None: ...
    def stage_ended(self, stage: Stage, row: StageRow) -> None: ...
    def cell_ended(self, result: CellResult) -> None: ...
    def waiting(self, stages: int) -> None: ...


class Interrupted(Exception):
    """The run was asked to stop, or its time is over. Everything finished is recorded."""


@dataclass(frozen=True)
class How:
    """What the caller may decide about a run, beyond what is computed."""

    seconds: Callable[[Stage], float] = lambda _: 1.0
    """Expected seconds of a stage, for the order."""
    execution: Callable[[Stage, Slot], Execution] = lambda _stage, _slot: FIXED
    limits: Limits = Limits()
    keep_weights: bool = False
    should_stop: Callable[[], bool] = lambda: False
    """Asked often: once it says yes, nothing new is begun."""
    watch: Callable[[Stage, Sequence[tuple[int, float]] | None], None] = lambda _stage, _points: None
    """Told the points of a training's curve as they come, (step, loss), and None when its stage has ended. It must not wait."""
    rungs: Callable[[Stage], Rungs | None] = lambda _: None
    """Where a training is scored on the way, for a judge that the engine knows."""


@dataclass
class Runner:
    """Runs the cells of one plan: hands stages to the engine, and is the only one that writes to the ledger."""

    plan: Plan
    ledger: Ledger
    metrics: Sequence[Metric]
    engine: Engine
    listener: Listener
    how: How = How()
    scoring: type[Scoring] = Scoring
    """How cells are scored and recorded as they end."""
    _agenda: Agenda = field(init=False)
    _cells: Scoring = field(init=False)
    _flight: dict[str, Stage] = field(default_factory=dict)
    _losses: Counter[str] = field(default_factory=Counter)
    _recalled: float = 0.0
    spent: list[tuple[str, float]] = field(default_factory=list)
    """Operation and seconds of every stage that this run has computed."""

    def run(self) -> None:
        """Bring every cell to an end. Interrupted if asked to stop; DataError, OSError or LedgerError where going on makes no sense."""
        self._prepare()
        try:
            while not self._agenda.is_empty or self._cells.is_waiting:
                if self.how.should_stop():
                    self._land()
                    raise Interrupted
                self._begin()
                if self._cells.is_waiting:
                    self._score()
                self._listen(0.0 if self._cells.is_waiting else POLL_SECONDS)
        finally:
            with contextlib.suppress(LedgerError):  # claims end with this process at the latest
                for key in self._flight:
                    self.ledger.unclaim(key)

    def _prepare(self) -> None:
        self.ledger.sweep()
        rows = self.ledger.stages()
        stages = needed(self.plan, rows)
        self._agenda = Agenda(stages, self.how.seconds)
        self._cells = self.scoring(self.plan, self.ledger, self.metrics, self.listener.cell_ended)
        self._cells.prepare({stage.key: stage for stage in stages}, rows)

    # -- stages

    def _begin(self) -> None:
        """Give every idle slot something to do."""
        if self._agenda.num_elsewhere and time.monotonic() - self._recalled > POLL_SECONDS:
            self._recalled = time.monotonic()
            self._agenda.recall()
        for slot in self.engine.idle():
            while (stage := self._agenda.next(self.engine.warm(slot))) is not None:
                if self._start(stage, slot):
                    break

    def _start(self, stage: Stage, slot: Slot) -> bool:
        """Hand a stage to a slot; False if there is no need or it cannot be done now."""
        if self._has_ended(stage) or self._lacks_parent(stage):
            return False
        if not self.ledger.claim(stage.key, leads_to=self._agenda.leads_to(stage)):
            if not self._has_ended(stage):  # between the two looks another process may have finished it
                self._aside(stage)
            return False
        self._flight[stage.key] = stage
        parent = self.ledger.stage(stage.parent.key) if stage.parent else None
        self.listener.stage_started(stage, slot)
        execution = self.how.execution(stage, slot)
        self.engine.start(slot, [Task(stage, parent.file if parent else None, execution, self.how.limits, self.how.rungs(stage))])
        return True

    def _has_ended(self, stage: Stage) -> bool:
        """Whether a stage is recorded, by another process meanwhile; then the agenda and its cells learn of it."""
        row = self.ledger.stage(stage.key)
        if row is not None and row.damage:
            log.warning("damaged: %s; computing it again", row.damage)
            self.ledger.forget_damaged(row)
        elif row is not None and row.status == "failed":
            self._failed(stage, row)
            return True
        elif row is not None and row.file is not None:
            self._done(stage)
            return True
        return False

    def _lacks_parent(self, stage: Stage) -> bool:
        """Whether the parent's arrays are gone (released or damaged): then it is opened again, and this stage with it."""
        parent = stage.parent
        row = self.ledger.stage(parent.key) if parent else None
        if parent is None or (row is not None and row.file is not None and not row.damage):
            return False
        if row is not None and row.damage:
            self.ledger.forget_damaged(row)
        self._agenda.open(parent)
        self._agenda.open(stage)
        return True

    def _aside(self, stage: Stage) -> None:
        """Another process is at it, or has finished all that rests on it: then it is not needed, else look again later."""
        later = self._agenda.after(stage)
        for each in later:
            self._has_ended(each)
        if later and not self._agenda.is_needed(stage.key):
            self._agenda.done(stage)
            return
        self._agenda.elsewhere(stage)
        if not self._flight:
            self.listener.waiting(self._agenda.num_elsewhere)

    def _listen(self, seconds: float) -> None:
        """Take in what the engine tells."""
        for event in self._events(seconds):
            stage = self._flight.get(event.key)
            if stage is None:
                continue
            if isinstance(event, Progress):
                self.listener.stage_progress(stage, event.done, event.total)
                if event.points:
                    self.how.watch(stage, event.points)
            else:
                self._take(stage, event)
                self.how.watch(stage, None)

    def _events(self, seconds: float) -> list[Event]:
        """What the engine tells; if it has nothing to do, wait only for another process that has what is missing."""
        if self._flight or not self.engine.idle():
            return self.engine.wait(seconds)
        if self._agenda.num_elsewhere:
            time.sleep(seconds)
        return []

    def _take(self, stage: Stage, event: Ended) -> None:
        outcome = event.outcome
        if outcome.ending == "lost":
            self._losses[stage.key] += 1
            if self._losses[stage.key] <= MAX_LOSSES:
                log.warning("%s of '%s' was lost (%s); computing it again", stage.op, stage.owner, outcome.message)
                return self._again(stage)
        elif outcome.ending == "damaged":
            return self._again_with_parent(stage, outcome)
        elif outcome.ending == "pruned":
            return self._let_go(stage, outcome)
        elif outcome.ending == "no-data":
            raise DataError(outcome.message)
        elif outcome.ending == "no-room":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.ledger.store))
        self._keep(stage, outcome)
        return None

    def _keep(self, stage: Stage, outcome: Outcome) -> None:
        """Record how a stage ended."""
        row = _row(stage, outcome)
        self.ledger.record(stage, row, release=self._no_longer_needed(stage) if row.status == "ok" else ())
        del self._flight[stage.key]
        self.spent.append((stage.op, row.ended - row.started))
        self.listener.stage_ended(stage, row)
        if row.status == "ok":
            self._done(stage)
        else:
            self._failed(stage, row)

    def _let_go(self, stage: Stage, outcome: Outcome) -> None:
        """A training that its judge has stopped: nothing is recorded, so that whoever wants all of it can have it."""
        self.ledger.unclaim(stage.key)
        del self._flight[stage.key]
        row = _row(stage, outcome)
        self.spent.append((stage.op, row.ended - row.started))
        self.listener.stage_ended(stage, row)
        self._failed(stage, row)

    def _again(self, stage: Stage) -> None:
        self.ledger.unclaim(stage.key)
        del self._flight[stage.key]
        self._agenda.open(stage)

    def _again_with_parent(self, stage: Stage, outcome: Outcome) -> None:
        """The file of the parent is not what was written: the parent is taken back, and computed again."""
        assert stage.parent is not None
        row = self.ledger.stage(stage.parent.key)
        self._cells.count_damage(stage.key, outcome.message)
        if row is not None:
            self.ledger.forget_damaged(row)
        self._agenda.open(stage.parent)
        self._again(stage)

    def _no_longer_needed(self, stage: Stage) -> list[str]:
        """The parent, if its arrays are of no use but to stages after it and none is left; predictions are always kept."""
        parent = stage.parent
        if parent is None or parent.op in KEPT or self.how.keep_weights or self._agenda.is_needed(parent.key, besides=stage.key):
            return []
        return [parent.key]

    def _done(self, stage: Stage) -> None:
        self._agenda.done(stage)
        self._cells.stage_done(stage)

    def _failed(self, stage: Stage, row: StageRow) -> None:
        self._agenda.fail(stage)
        self._cells.stage_failed(stage, row)

    def _score(self) -> None:
        damaged = self._cells.score_one()
        if damaged is not None:
            self._agenda.open(damaged.last)

    # -- the end

    def _land(self) -> None:
        """Let stages in flight end, for a while, and score what is done."""
        until = time.monotonic() + FINISH_SECONDS
        while self._flight and time.monotonic() < until:
            self._listen(min(POLL_SECONDS, max(0.0, until - time.monotonic())))
        while self._cells.is_waiting:
            self._score()


def _row(stage: Stage, outcome: Outcome) -> StageRow:
    ok = outcome.ending == "ok"
    return StageRow(
        stage.key, stage.science_key, stage.op, stage.owner, stage.all_code, "ok" if ok else "failed",
        outcome.kind or ("" if ok else "lost"), outcome.message, outcome.log_tail, outcome.facts, outcome.profile, outcome.context,
        outcome.file, started=outcome.started, ended=outcome.ended,
    )  # fmt: skip
