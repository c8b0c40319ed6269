"""A round: the trials under way together, run as cells of the same engine, judged on the way, told in the order of their numbers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from benchmark.cells import Cell
from benchmark.errors import InvalidValue
from benchmark.evaluate import metric_label, scoring_key
from benchmark.failures import NOT_FINITE, PRUNED
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.plan import Plan, make_plan, needed
from benchmark.records import CellResult, Folders
from benchmark.results import finished
from benchmark.rows import StageRow
from benchmark.run import How, Listener, Runner
from benchmark.scoring import Scoring
from benchmark.stages import CellStages, Stage
from benchmark.studies import CELLS
from benchmark.tasks import Engine, NoEngine, Reported, Rungs, Slot
from benchmark.tune.pruners import goes_by_seeds, is_hopeless
from benchmark.tune.samplers import LOST
from benchmark.tune.settings import SECONDS, Settings
from benchmark.tune.study import StudyOf, Told

INVALID, UNDEFINED = "impossible", "undefined"
"""Kinds of trials that failed without a stage's failure: no such cell can be; the score is not a number."""
_BLOCKED = re.compile(r".*which failed \((.*)\)", re.DOTALL)


class TrialScoring(Scoring):
    """Cells of trials: scored on the validation part alone, and told instead of recorded."""

    def _scored(self, work: CellStages) -> CellResult:
        return finished(self.plan.suite, work, self.ledger, self.metrics, parts=("validation",))

    def _record(self, work: CellStages, result: CellResult) -> None:  # noqa: ARG002  # what a scoring that records needs
        self.tell(result)


@dataclass
class Live:
    """A trial under way."""

    study: StudyOf
    trial: optuna.Trial | FrozenTrial
    """A frozen one where it is only asked how it ended."""
    values: Mapping[str, Any]
    visible: frozenset[int]
    """Trials that had ended before: those it is judged against."""
    is_pruned: bool = False
    broken: Told | None = None
    """Set as soon as a cell of it has failed."""
    results: list[CellResult] = field(default_factory=list)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def is_open(self) -> bool:
        return not self.is_pruned and self.broken is None

    def report(self, value: float, step: int) -> None:
        """Tell the study what is known so far, and ask its pruner. A step that was reported before it was interrupted stands.

        A trial that another process has ended meanwhile, as after a sleep longer than its lease, is over for us: `tell` is refused too.
        """
        frozen = self.study.trials()[self.number]
        if step not in frozen.intermediate_values:
            try:
                self.trial.report(value, step)
            except UpdateFinishedTrialError:
                self.broken = Told(TrialState.FAIL, kind=LOST, message="taken up by another process meanwhile")
                return
            frozen = self.study.trials()[self.number]
        self.is_pruned = is_hopeless(self.study.study, self.study.storage, frozen, self.visible)

    def cells(self, seed: int) -> list[Cell]:
        return [Cell(config, seed) for config in self.study.group.configurations(self.values)]


@dataclass
class Rounds:
    """Runs rounds for all studies of a tuning with one engine, whose judge it is."""

    suite: str
    folders: Folders
    ledger: Ledger
    metrics: Sequence[Metric]
    """What is scored: the suite's metrics and the objectives'."""
    share: bool
    settings: Settings
    seeds: Sequence[int]
    rungs: tuple[int, ...]
    listener: Listener
    how: How
    engine: Callable[[], Engine] = NoEngine
    """Makes the engine at the first call: where everything is done no process is started."""
    _judged: dict[str, list[Live]] = field(default_factory=dict)
    _pruned_seconds: dict[str, float] = field(default_factory=dict)

    def judge(self, reported: Reported) -> bool:
        """Whether a training goes on: as long as one of the trials that rest on it wants it to."""
        found = self._judged.get(reported.key, [])
        for live in found:
            if live.is_open:
                live.report(reported.value, reported.percent)
        return not found or any(live.is_open for live in found)

    def run(self, lives: Sequence[Live]) -> list[tuple[Live, Told]]:
        """Run trials to their ends, seed by seed; how each ended, in the order given. Interrupted if asked to stop."""
        self._pruned_seconds = {}
        for index, seed in enumerate(self.seeds):
            open_ = [live for live in lives if live.is_open]
            works = {id(live): self._works(live, seed) for live in open_}
            open_ = [live for live in open_ if live.is_open]
            if open_:
                self._run([works[id(live)] for live in open_], open_, judged=index == 0)
            for live in open_:
                self._take_seed(live, works[id(live)], index)
        return [(live, self._told(live)) for live in lives]

    def _works(self, live: Live, seed: int) -> Plan | None:
        """A trial's cells as work; a point that cannot be ends the trial."""
        try:
            plan = self._plan(live.cells(seed))
        except InvalidValue as error:
            live.broken = Told(TrialState.FAIL, kind=INVALID, message=error.problem)
            return None
        live.stages |= plan.stages
        return plan

    def _plan(self, cells: Sequence[Cell]) -> Plan:
        name = f"{CELLS}{self.suite}"
        return make_plan(name, cells, self.folders, self.ledger, scoring=scoring_key(self.metrics), share=self.share)

    def _run(self, plans: Sequence[Plan | None], lives: Sequence[Live], *, judged: bool) -> None:
        owners: dict[str, list[Live]] = defaultdict(list)
        self._judged = defaultdict(list)
        cells = []
        for live, plan in zip(lives, plans, strict=True):
            for planned in plan.cells if plan else ():
                assert planned.work is not None
                cells.append(planned.cell)
                owners[planned.work.key].append(live)
                self._judged[planned.work.last.chain[0].key].append(live)
        taken: dict[str, CellResult] = {}
        watcher = _Watcher(self.listener, taken, self._pruned_seconds)
        rungs = self._rungs if judged and self.rungs else (lambda _: None)
        how = dataclasses.replace(self.how, rungs=rungs)
        whole = self._plan(cells)
        Runner(whole, self.ledger, self.metrics, self.engine_for(whole), watcher, how, TrialScoring).run()
        for key, found in owners.items():
            for live in found:
                live.results.append(taken[key])

    def engine_for(self, plan: Plan) -> Engine:
        """The engine, or one that does nothing where nothing is to be computed."""
        return self.engine() if needed(plan, self.ledger.stages()) else NoEngine()

    def _rungs(self, stage: Stage) -> Rungs | None:
        """Where a training is judged: by the first objective that is a metric."""
        metric = next(metric for metric in self.metrics if metric_label(metric) == self.settings.metrics[0])
        return Rungs(self.rungs, dict(metric.doc)) if stage.op == "train" else None

    def _take_seed(self, live: Live, plan: Plan | None, index: int) -> None:
        """What a trial's cells of one seed say: a failure ends it, a pruner that goes by seeds may."""
        keys = {planned.work.key for planned in plan.cells if planned.work} if plan else set()
        results = [result for result in live.results if result.key in keys]
        failed = next((result for result in results if result.status != "ok"), None)
        if failed is not None and live.is_open:
            live.broken = _failure(failed)
        elif live.is_open and goes_by_seeds(self.settings.pruner):
            value = _mean(results, f"validation.{self.settings.metrics[0]}")
            if math.isfinite(value):
                live.report(value, index)

    def _told(self, live: Live) -> Told:
        seconds = self.seconds(live.stages.values())
        scored = [result for result in live.results if result.status == "ok"]
        names = dict.fromkeys(name for result in scored for name in result.metrics if name.startswith("validation.") and "/" not in name)
        scores = {name: value for name in names if math.isfinite(value := _mean(scored, name))}
        if live.broken is not None:
            return Told(TrialState.FAIL, kind=live.broken.kind, message=live.broken.message, seconds=seconds, scores=scores)
        if live.is_pruned and len(scored) < len(self.seeds) * len(live.study.group.bases):
            return Told(TrialState.PRUNED, kind=PRUNED, message=_pruned_at(live), seconds=seconds, scores=scores)
        values = self.values(scored, seconds)
        if not all(map(math.isfinite, values)):
            return Told(TrialState.FAIL, kind=UNDEFINED, message="the score is not a finite number", seconds=seconds, scores=scores)
        return Told(TrialState.COMPLETE, values, seconds=seconds, scores=scores)

    def values(self, results: Sequence[CellResult], seconds: float) -> tuple[float, ...]:
        """The objectives of a trial whose cells are all there: means over its cells."""
        names = self.settings.metrics
        return tuple(seconds / len(results) if name == SECONDS else _mean(results, f"validation.{name}") for name in names)

    def seconds(self, stages: Any) -> float:
        """What stages took when they were computed, whoever asked for them; a stopped training until it was stopped."""
        total = 0.0
        for stage in stages:
            row = self.ledger.stage(stage.key)
            if row is None:
                total += self._pruned_seconds.get(stage.key, 0.0)
            else:  # reading images is no part of a stage's own seconds; a failed one has no others
                total += row.profile.get("seconds", row.ended - row.started)
        return total

    def answer(self, live: Live) -> Told | None:
        """How a trial ended, if the ledger has all of its cells already; None if not."""
        for seed in self.seeds:
            plan = self._works(live, seed)
            if plan is None:
                return self._told(live)
            for planned in plan.cells:
                if planned.state != "done" or planned.work is None:
                    return None
                live.results.append(finished(plan.suite, planned.work, self.ledger, self.metrics, parts=("validation",)))
        return self._told(live)


@dataclass
class _Watcher:
    """Listens for what the round needs, and passes the rest on."""

    listener: Listener
    taken: dict[str, CellResult]
    pruned_seconds: dict[str, float]

    def stage_started(self, stage: Stage, slot: Slot) -> None:
        self.listener.stage_started(stage, slot)

    def stage_progress(self, stage: Stage, done: int, total: int) -> None:
        self.listener.stage_progress(stage, done, total)

    def stage_ended(self, stage: Stage, row: StageRow) -> None:
        if row.kind == PRUNED:
            self.pruned_seconds[stage.key] = row.ended - row.started
        self.listener.stage_ended(stage, row)

    def cell_ended(self, result: CellResult) -> None:
        self.taken[result.key] = result

    def waiting(self, stages: int) -> None:
        self.listener.waiting(stages)


def _failure(result: CellResult) -> Told:
    """Kind and message of a failed cell, of its own or of the stage that blocked it."""
    blocked = _BLOCKED.fullmatch(result.reason)
    kind, _, message = (blocked[1] if blocked else result.reason).partition(": ")
    return Told(TrialState.FAIL, kind=kind or NOT_FINITE, message=message)


def _pruned_at(live: Live) -> str:
    steps = live.study.trials()[live.number].intermediate_values
    if not steps:
        return ""
    last = max(steps)
    unit = "seeds" if goes_by_seeds(live.study.settings.pruner) else "%"
    return f"stopped after {last + 1 if unit == 'seeds' else last} {unit} at {steps[last]:.4g}"


def _mean(results: Sequence[CellResult], name: str) -> float:
    values = [result.metrics.get(name, math.nan) for result in results]
    return sum(values) / len(values) if values else math.nan
