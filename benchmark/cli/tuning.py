"""`skewbench tune`."""

from __future__ import annotations

import contextlib
import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from benchmark.cells import Cell
from benchmark.cli.console import LiveListener, PlainListener, duration, print_json
from benchmark.cli.engines import Means, make_engine, means_options, prepare
from benchmark.cli.interrupts import OutOfTime, stopping
from benchmark.cli.session import Choice, Session, open_session, store_arguments, suite_options
from benchmark.cli.tuning_options import Wanted, tuning_options
from benchmark.cli.tuning_show import show, tuned_report, tuned_tracker
from benchmark.errors import UserError
from benchmark.evaluate import metric_infos, metric_label, scoring_key
from benchmark.metrics import Metric
from benchmark.plan import make_plan
from benchmark.price import units
from benchmark.records import CellResult
from benchmark.redaction import redact
from benchmark.rows import StageRow
from benchmark.run import How, Interrupted, Runner
from benchmark.stages import Stage
from benchmark.studies import CELLS, Comparison, Tuning
from benchmark.tune.groups import Group, condition_words, groups_of, trial_seeds
from benchmark.tune.settings import SECONDS, Settings, metric_of

if TYPE_CHECKING:
    from benchmark.tune.rounds import Rounds
    from benchmark.tune.study import StudyOf, Told
    from benchmark.tune.winners import Winner

NOTE = "tuning"
"""Kind of note in the ledger: the last tuning of a suite, whole."""


@click.command()
@suite_options
@tuning_options
@means_options
@click.option("--no-tracker", is_flag=True, help="Do not write to MLflow.")
@click.option("--no-report", is_flag=True, help="Do not write the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the studies as JSON instead of tables.")
@click.pass_context
def tune(  # noqa: PLR0913  # one argument per option
    context: click.Context, choice: Choice, wanted: Wanted, means: Means, no_tracker: bool, no_report: bool, as_json: bool
) -> None:
    """Search what SUITE declares under `search:`, one study per data set, imbalance, method and model, each with the same budget.

    Trials are scored on the validation part alone. Winners are re-trained with fresh seeds and compared with the suite's own values on
    the test part. To go on after an interruption, or with more trials, issue the command again; many processes may work on one study.
    """
    from benchmark.tune.storage import close_storage, default_url, open_storage, shown

    url = wanted.storage or default_url(choice.store)
    if wanted.dashboard:
        raise SystemExit(_dashboard(url, wanted.port))
    session, settings = open_session(choice, create=True), wanted.settings
    groups = groups_of(
        session.suite.name, [planned.cell for planned in session.plan.cells], session.suite.search, session.suite.rules, settings
    )
    job = _Job(session, settings, means, groups, url, _command(choice, wanted))
    storage = open_storage(url)
    context.call_on_close(functools.partial(close_storage, storage))
    studies = job.open(storage)
    tuning, winners = job.run(studies, _final_seeds(session, wanted.seeds_final), shown(url))
    session.own_ledger.note(NOTE, session.suite.name, tuning.document)
    if as_json:
        print_json(tuning)
    else:
        show(tuning)
    if wanted.apply is not None:
        _apply(session, groups, winners, tuning, wanted)
    if not no_report:
        click.echo(f"Report:  {tuned_report(session, tuning)}", err=as_json)
    if not no_tracker:
        click.echo(f"MLflow:  {tuned_tracker(session, tuning)}", err=as_json)
    context.exit(0 if all(study.winner for study in tuning.studies) else 1)


def _command(choice: Choice, wanted: Wanted) -> str:
    """The command as it is stored and shown: a storage's password stays out of both."""
    given = ["skewbench", "tune", *choice.arguments, *wanted.arguments, *store_arguments(choice.store)]
    return redact(shlex.join([redact(argument) for argument in given]))


def _final_seeds(session: Session, number: int | None) -> Sequence[int]:
    """The suite's own seeds, or so many: trials have never seen them."""
    return session.suite.grids[0].seeds if number is None else range(number)


@dataclass
class _Job:
    """One call of the command."""

    session: Session
    settings: Settings
    means: Means
    groups: Sequence[Group]
    url: str
    command: str

    @property
    def metrics(self) -> list[Metric]:
        """The suite's, and those of the objectives."""
        own = [metric_of(name) for name in self.settings.metrics if name != SECONDS]
        return [*own, *(metric for metric in self.session.suite.metrics if metric_label(metric) not in self.settings.metrics)]

    @property
    def seeds(self) -> tuple[int, ...]:
        return trial_seeds(self.session.suite.name, self.settings.trial_seeds)

    def open(self, storage: object) -> list[StudyOf]:
        """The studies, made where they are new."""
        from benchmark.tune.tuner import open_studies

        keys = [self._untuned_keys(group) for group in self.groups]
        return open_studies(self.groups, keys, self.settings, storage, self.url)  # type: ignore[arg-type]  # Optuna's, known there

    def _untuned_keys(self, group: Group) -> list[str]:
        session = self.session
        cells = [Cell(base, self.seeds[0]) for base in group.bases]
        plan = make_plan("tune", cells, session.folders, session.ledger, scoring="", share=session.suite.share)
        return [planned.work.last.key for planned in plan.cells if planned.work]

    def run(self, studies: Sequence[StudyOf], final_seeds: Sequence[int], shown_url: str) -> tuple[Tuning, list[Winner]]:
        """Search, then re-train the winners."""
        from benchmark.tune.outcome import study_record
        from benchmark.tune.winners import Winner, budget_notes

        if self.means.executor != "local" and self.settings.pruner.name not in ("none", "wilcoxon"):
            raise UserError(f"--executor {self.means.executor}: trainings are stopped on the way by local workers only. Add --pruner none.")
        prepared = prepare(self.session, self.means, self.session.todo(), say=lambda text: click.echo(text, err=True))
        listener = _listener(len(studies) * (self.settings.trials or 1))
        with listener, contextlib.ExitStack() as stack:
            stop = stack.enter_context(stopping(self.means.stop_after))
            how = How(lambda stage: float(units(stage)), prepared.execution, self.means.limits, should_stop=stop)
            rounds = self._rounds(how, listener)
            make = functools.partial(make_engine, self.session, self.means, prepared, rounds.judge)
            rounds.engine = functools.cache(lambda: stack.enter_context(contextlib.closing(make())))
            try:
                self._search(studies, rounds, listener)
                records = [study_record(study, shown_url) for study in studies]
                winners = [
                    Winner(study.group, study.name, study.stored_values(study.trials()[record.best[0]]) if record.best else {})
                    for study, record in zip(studies, records, strict=True)
                ]
                comparisons = self._compare(winners, final_seeds, rounds, listener) if final_seeds else ()
            except Interrupted:
                raise (OutOfTime if stop.is_late else KeyboardInterrupt) from None
        return Tuning(self.session.suite.name, tuple(records), comparisons, self.command, tuple(budget_notes(records))), winners

    def _rounds(self, how: How, listener: PlainListener | LiveListener) -> Rounds:
        from benchmark.tune.pruners import rungs_of
        from benchmark.tune.rounds import Rounds

        session, rungs = self.session, rungs_of(self.settings.pruner)
        ledger, share = session.own_ledger, session.suite.share
        return Rounds(session.suite.name, session.folders, ledger, self.metrics, share, self.settings, self.seeds, rungs, listener, how)

    def _search(self, studies: Sequence[StudyOf], rounds: Rounds, listener: PlainListener | LiveListener) -> None:
        from benchmark.tune.tuner import Tuner

        teller = _Teller(studies, listener)
        how = f"{self.settings.sampler.words}, {self.settings.pruner.words}"
        listener.say(f"{self.session.suite.name}: {len(studies)} studies of {self.settings.budget}, {how}")
        tuner = Tuner(studies, rounds, rounds.how.should_stop, teller.ended, teller.waiting, self.url)
        stop = rounds.how.should_stop

        def tick() -> bool:
            tuner.renew()
            return stop()

        rounds.how = How(rounds.how.seconds, rounds.how.execution, rounds.how.limits, should_stop=tick)
        tuner.run()

    def _compare(
        self, winners: Sequence[Winner], seeds: Sequence[int], rounds: Rounds, listener: PlainListener | LiveListener
    ) -> tuple[Comparison, ...]:
        """Untuned and tuned cells with fresh seeds: trained, scored on the test part, compared."""
        from benchmark.tune.winners import cells_of, compared, text_of

        session, metrics = self.session, self.session.suite.metrics
        name = f"{CELLS}{session.suite.name}"
        cells = cells_of(winners, seeds)
        plan = make_plan(name, cells, session.folders, session.ledger, scoring=scoring_key(metrics), share=session.suite.share)
        listener.say(f"{session.suite.name}: {len(cells)} cells to compare tuned with untuned on the test part")
        Runner(plan, session.own_ledger, metrics, rounds.engine_for(plan), listener, rounds.how).run()
        results: list[CellResult] = list(session.own_ledger.cells(name).values())
        keys = {(text_of(item.cell.config), item.cell.seed): item.work.key for item in plan.cells if item.work}
        return compared(winners, results, metric_infos(metrics), keys)


class _QuietListener(PlainListener):
    """Without a line for each training: trials are told."""

    def stage_ended(self, stage: Stage, row: StageRow) -> None:  # noqa: ARG002  # the listener's contract
        self._told.pop(stage.key, None)


def _listener(num_trainings: int) -> PlainListener | LiveListener:
    return LiveListener(num_trainings) if sys.stderr.isatty() else _QuietListener(num_trainings)


@dataclass
class _Teller:
    """A line for each trial as it ends."""

    studies: Sequence[StudyOf]
    listener: PlainListener | LiveListener

    def ended(self, study: StudyOf, number: int, told: Told) -> None:
        same = sum(other.group.base.method.name == study.group.base.method.name for other in self.studies) > 1
        where = f" · {condition_words(study.group.base)}" if same else ""
        values = ", ".join(f"{value:.4g}" for value in told.values)
        what = f"{objective_words(study)} {values}" if told.values else f"{told.kind}: {told.message}" if told.message else told.kind
        done = len([trial for trial in study.counted() if trial.state.is_finished()])
        of = f"/{study.limit}" if study.limit else ""
        self.listener.say(f"[{done}{of}] {study.group.base.method.name}{where} · trial {number}: {what} · {duration(told.seconds)}")

    def waiting(self, trials: int) -> None:
        self.listener.say(f"waiting for other processes, which are at {trials} trials")


def objective_words(study: StudyOf) -> str:
    return ", ".join(f"validation {name}" if name != SECONDS else name for name in study.settings.metrics)


def _apply(session: Session, groups: Sequence[Group], winners: Sequence[Winner], tuning: Tuning, wanted: Wanted) -> None:
    from benchmark.tune.applying import apply_winners
    from benchmark.tune.winners import Winner

    assert wanted.apply is not None
    untouched = [Winner(group, "", {}) for group in groups if not group.dimensions]
    made = apply_winners(session.suite, winners, untouched, tuning, wanted.apply)
    click.echo(f"Suite:   {wanted.apply} ({made} cells; `skewbench run {wanted.apply}`)", err=True)


def _dashboard(url: str, port: int) -> int:
    from benchmark.tune.dashboard import serve

    return serve(url, port, say=lambda text: click.echo(text, err=True))
