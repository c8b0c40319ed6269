"""`skewbench run`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from benchmark.arrays import Arrays
from benchmark.cli.browse import mirror_pending, tracker_place, warn, write_report_if_changed
from benchmark.cli.console import listener, print_comparison, print_json
from benchmark.cli.session import Choice, Session, open_session, suite_options
from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from benchmark.results import SCORING_FAILED
from benchmark.run import Runner, StageOutcome, retry
from benchmark.stages import Stage


@click.command()
@suite_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of a training; part of the context.")
@click.option("--retry", "retry_kind", metavar="failed[:KIND]", help="Run failed cells again: all of them, or those of one kind.")
@click.option("--keep-weights", is_flag=True, help="Keep the weights of every trained network in the store.")
@click.option("--no-tracker", is_flag=True, help="Do not write to MLflow now; `skewbench sync` does it later.")
@click.option("--no-report", is_flag=True, help="Do not write the HTML report.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
@click.pass_context
def run(  # noqa: PLR0913  # one argument per option
    context: click.Context,
    choice: Choice,
    device: str,
    threads: int,
    retry_kind: str | None,
    keep_weights: bool,
    no_tracker: bool,
    no_report: bool,
    as_json: bool,
) -> None:
    """Run the cells of SUITE that are not done, then show what came out.

    SUITE is a file or the name of a shipped suite (`skewbench list suites`). What is done is never done again: to go on after
    an interruption, issue the same command.
    """
    session = open_session(choice, create=True)
    if retry_kind is not None:
        session = _retry(session, retry_kind)
    machine = _LazyMachine(session, device, threads)
    if session.todo():
        machine.prepare()  # before anything is started: the device may not be there
    with _follower(session, enabled=not no_tracker):
        _run(session, machine, keep_weights=keep_weights)
    results = finish(session, report=not no_report, tracker=not no_tracker, as_json=as_json)
    if _failures(results):
        context.exit(1)


def _failures(results: SuiteResults) -> list[CellResult]:
    return [cell for cell in results.cells if cell.status in ("failed", "blocked")]


def _retry(session: Session, wanted: str) -> Session:
    word, _, kind = wanted.partition(":")
    if word != "failed":
        raise click.BadParameter(
            f"expected failed or failed:KIND (for instance failed:not-finite), found '{wanted}'.", param_hint="--retry"
        )
    present = _failure_kinds(session)
    number = retry(session.plan, session.own_ledger, kind or None)
    if present and not number:  # where nothing has failed, all is well: the command may be one that is issued again
        raise UserError(f"--retry {wanted}: nothing has failed in this way, only as: {', '.join(present)}. Name one of those.")
    click.echo(f"{session.suite.name}: {number} failures to try again", err=True)
    return open_session(session.choice, create=True)


def _failure_kinds(session: Session) -> list[str]:
    """The kinds of failure that the suite has now: of stages, and the exceptions of metrics that could not score."""
    stages, begin = session.plan.stages, f"{SCORING_FAILED}: "
    of_stages = {row.kind for key, row in session.rows().items() if row.status == "failed" and key in stages}
    of_metrics = {cell.reason.removeprefix(begin).partition(":")[0] for cell in session.plan.cells if cell.reason.startswith(begin)}
    return sorted(of_stages | of_metrics)


def _run(session: Session, machine: _LazyMachine, *, keep_weights: bool) -> None:
    todo = session.todo()
    trainings = sum(stage.op == "train" for stage in todo)
    counts = session.plan.counts
    states = ", ".join(f"{counts[state]} {state}" for state in ("done", "new", "stale", "failed", "skipped") if counts[state])
    click.echo(f"{session.suite.name}: {len(session.plan.cells)} cells ({states}), {trainings} trainings to do", err=True)
    with listener(trainings) as progress:
        runner = Runner(
            session.plan, session.own_ledger, session.suite.metrics, machine.execute, machine.context, progress, keep_weights=keep_weights
        )
        runner.run()


class _LazyMachine:
    """The executor, made when the first stage needs it: a finished suite never imports torch."""

    def __init__(self, session: Session, device: str, threads: int) -> None:
        self._session, self._device, self._threads = session, device, threads
        self._executor: Any = None

    def prepare(self) -> None:
        """Import torch and choose the device; UserError if it is not there."""
        from benchmark.execute.context import choose_machine
        from benchmark.execute.stages import Executor

        self._executor = Executor(choose_machine(self._device, self._threads), self._session.folders)

    def execute(self, stage: Stage, parent: Arrays, progress: Callable[[int, int], None]) -> StageOutcome:
        if self._executor is None:
            self.prepare()
        outcome: StageOutcome = self._executor.run(stage, parent, progress)
        return outcome

    def context(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._executor.machine.context if self._executor else {}
        return found


@contextlib.contextmanager
def _follower(session: Session, *, enabled: bool) -> Iterator[None]:
    """A process of its own that fills MLflow while the suite runs, so that importing and writing cost the training nothing.

    It reads until its standard input ends, which also happens when this process is killed; then it drains and leaves.
    """
    if not enabled or not (session.todo() or _mirror_pending(session)):
        yield
        return
    process = subprocess.Popen([*session.choice.process("sync"), "--follow"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if sys.exc_info()[0] is None:
            process.wait()


def _mirror_pending(session: Session) -> bool:
    from trackers.location import TrackerError

    try:
        return mirror_pending(session)
    except TrackerError as error:
        warn(error)
        return False


def finish(session: Session, *, report: bool, tracker: bool, as_json: bool) -> SuiteResults:
    """The comparison, the report's path and the command for the UI; the results."""
    results = session.results()
    if as_json:
        print_json(results)
    else:
        print_comparison(results)
    failures = _failures(results)
    for cell in failures:
        click.echo(f"{cell.status}: {cell.method} seed {cell.seed}: {cell.reason}", err=True)
    if failures:
        click.echo("Failed cells stay failed until `--retry failed` (or failed:KIND) tries them again.", err=True)
    if report:
        click.echo(f"Report:  {write_report_if_changed(session, results)}", err=as_json)
    if tracker:
        click.echo(f"MLflow:  {tracker_place(session.choice.store)}", err=as_json)
    return results
