"""`skewbench run`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from benchmark.budget import fit
from benchmark.cli.browse import mirror_pending, tracker_place, warn
from benchmark.cli.console import describe, duration, listener, print_comparison, print_json
from benchmark.cli.engines import Means, Prepared, make_engine, means_options, prepare
from benchmark.cli.following import Watch, Wire
from benchmark.cli.interrupts import OutOfTime, stopping
from benchmark.cli.outputs import Outputs, deliver, output_options
from benchmark.cli.pricing import bill_of, kept_account
from benchmark.cli.reporting import write_report_if_changed
from benchmark.cli.session import Choice, Session, open_session, suite_options
from benchmark.cli.syncing import USUAL, Wanted, log_options
from benchmark.cli.units import seconds
from benchmark.errors import SkewbenchError, UserError
from benchmark.outputs.document import run_document
from benchmark.price import FORWARD, Bill, units
from benchmark.profile_lane import Lane
from benchmark.records import CellResult, SuiteResults
from benchmark.redaction import redact
from benchmark.results import SCORING_FAILED
from benchmark.run import How, Interrupted, Runner
from benchmark.scoring import retry
from benchmark.shards import parse_shard, part
from benchmark.stages import Stage
from benchmark.status import announce
from benchmark.tasks import NoEngine

DRAIN_SECONDS = 120.0
"""What a tracker on the network is given to take what is still to be written when everything has run."""


@click.command()
@suite_options
@means_options
@click.option("--retry", "retry_kind", metavar="failed[:KIND]", help="Run failed cells again: all of them, or those of one kind.")
@click.option("--shard", metavar="I/N", help="Only the I-th of N parts, for machines without a common store; then `skewbench merge`.")
@click.option("--budget", type=seconds, metavar="TIME", help="Keep only as many complete sets of seeds as fit (2h, 30min).")
@click.option("--profile", is_flag=True, help="Then measure each configuration alone: what the time and memory tables show.")
@click.option("--keep-weights", is_flag=True, help="Keep the weights of every trained network in the store.")
@log_options
@click.option("--no-tracker", is_flag=True, help="Do not write to MLflow now; `skewbench sync` does it later.")
@click.option("--no-report", is_flag=True, help="Do not write the HTML report.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
@output_options
@click.pass_context
def run(  # noqa: PLR0913  # one argument per option
    context: click.Context,
    choice: Choice,
    means: Means,
    retry_kind: str | None,
    shard: str | None,
    budget: float | None,
    profile: bool,
    keep_weights: bool,
    log_predictions: bool,
    log_models: bool,
    no_tracker: bool,
    no_report: bool,
    as_json: bool,
    outputs: Outputs,
) -> None:
    """Run the cells of SUITE that are not done, then show what came out.

    SUITE is a file or the name of a shipped suite (`skewbench list suites`). What is done is never done again: to go on after
    an interruption, issue the same command.
    """
    session = open_session(choice, create=True)
    if retry_kind is not None:
        session = _retry(session, retry_kind)
    if shard is not None:
        session = session.only(part(session.plan, parse_shard(shard)))
    if budget is not None:
        session = _within(session, means, budget)
    announce(session.own_ledger, session.plan, redact(session.choice.command("run")))
    todo = session.todo()
    prepared = prepare(session, means, todo, say=lambda text: click.echo(text, err=True))  # measures: before anything else is at work
    with follower(session, Wanted(log_predictions, log_models), enabled=not no_tracker) as wire:
        run_cells(session, means, todo, prepared, keep_weights=keep_weights or log_models, watch=wire.watch)
        if profile:
            _measure_alone(session, means)
        wire.end()
        results = finish(session, report=not no_report, as_json=as_json)
    if not no_tracker:
        click.echo(f"MLflow:  {tracker_place(choice.store)}", err=as_json)
    deliver(run_document(results), outputs, store=choice.store, tracker=False)
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


def _within(session: Session, means: Means, budget: float) -> Session:
    """The session with the cells that fit into the budget."""
    todo = session.todo()
    kept = fit(session.plan, bill_of(session, prepare(session, means, todo), todo), budget)
    for words in kept.dropped:
        click.echo(f"--budget: {words}", err=True)
    click.echo(f"--budget: {len(kept.cells)} of {len(session.plan.cells)} cells fit, about {duration(kept.seconds)}", err=True)
    return session.only(kept.cells)


def _failure_kinds(session: Session) -> list[str]:
    """The kinds of failure that the suite has now: of stages, and the exceptions of metrics that could not score."""
    stages, begin = session.plan.stages, f"{SCORING_FAILED}: "
    of_stages = {row.kind for key, row in session.rows().items() if row.status == "failed" and key in stages}
    of_metrics = {cell.reason.removeprefix(begin).partition(":")[0] for cell in session.plan.cells if cell.reason.startswith(begin)}
    return sorted(of_stages | of_metrics)


def run_cells(  # what is to be done, by what means, and who looks on
    session: Session, means: Means, todo: Sequence[Stage], prepared: Prepared, *, watch: Watch, keep_weights: bool = False
) -> None:
    """Bring every cell of the session to an end, with progress on standard error."""
    made = bill_of(session, prepared, todo)
    trainings = sum(stage.op == "train" for stage in todo)
    counts = session.plan.counts
    states = ", ".join(f"{counts[state]} {state}" for state in ("done", "new", "stale", "failed", "skipped") if counts[state])
    click.echo(f"{session.suite.name}: {len(session.plan.cells)} cells ({states}), {trainings} trainings to do{_expected(made)}", err=True)
    with listener(trainings) as progress, contextlib.ExitStack() as stack:
        stop = stack.enter_context(stopping(means.stop_after))
        engine = stack.enter_context(contextlib.closing(make_engine(session, means, prepared) if todo else NoEngine()))
        how = How(_seconds(made), prepared.execution, means.limits, keep_weights, stop, watch=watch)
        runner = Runner(session.plan, session.own_ledger, session.suite.metrics, engine, progress, how)
        try:
            with kept_account(session, made, runner.spent) if todo else contextlib.nullcontext():
                runner.run()
        except Interrupted:
            raise (OutOfTime if stop.is_late else KeyboardInterrupt) from None


def _measure_alone(session: Session, means: Means) -> None:
    lane = lane_of(session, means)
    lane.measure(session.plan, lambda work, number, of: click.echo(f"measuring alone {number}/{of}: {describe(work.last)}", err=True))


def lane_of(session: Session, means: Means) -> Lane:
    """Where configurations are measured alone: the first slot of a run."""
    prepared = prepare(session, means, [])
    return Lane(session.own_ledger, session.folders, prepared.slots[0], prepared.execution, session.choice.plugins)


def _expected(made: Bill) -> str:
    return "" if made.unknown or not made.todo else f", about {duration(made.wall.seconds)}"


def _seconds(made: Bill) -> Callable[[Stage], float]:
    """What the order of work goes by: seconds where they are known, else a guess in proportion to the images that pass."""

    def expected(stage: Stage) -> float:
        price = made.seconds.get(stage.key)
        return price.seconds if price else FORWARD.get(stage.op, 1.0) * units(stage) * 1e-4

    return expected


@contextlib.contextmanager
def follower(session: Session, wanted: Wanted = USUAL, *, enabled: bool) -> Iterator[Wire]:
    """A process of its own that fills MLflow while the suite runs, so that importing and writing cost the training nothing.

    It is told of curves through its standard input and reads until that ends, which also happens when this process is killed; then it
    drains and leaves.
    """
    if not enabled or not (session.todo() or _mirror_pending(session)):
        yield Wire()
        return
    command = [*session.choice.process("sync"), *wanted.arguments, "--follow"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    wire = Wire(process.stdin)
    try:
        yield wire
    finally:
        wire.end()
        if sys.exc_info()[0] is None:
            _drained(process)


def _drained(process: subprocess.Popen[bytes]) -> None:
    """Wait until all is written, but for a tracker on the network not longer than a user would: what it lacks then, `sync` writes."""
    from trackers.location import default_uri, sqlite_path

    is_server = sqlite_path(default_uri(Path())) is None
    try:
        process.wait(timeout=DRAIN_SECONDS if is_server else None)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        slow = f"The tracker is slow: not all is written after {DRAIN_SECONDS:g} s. No result is lost: `skewbench sync` writes the rest"
        warn(SkewbenchError(f"{slow}, `skewbench status` shows how much that is."))


def _mirror_pending(session: Session) -> bool:
    from trackers.location import TrackerError

    try:
        return mirror_pending(session)
    except TrackerError as error:
        warn(error)
        return False


def finish(session: Session, *, report: bool, as_json: bool) -> SuiteResults:
    """The comparison and the report's path; the results."""
    results = session.results()
    if as_json:
        print_json(results)
    else:
        print_comparison(results)
    if results.claims:
        from reports.claims import counted

        click.echo(f"Claims:  {counted(results.claims)}", err=as_json)
    failures = _failures(results)
    for cell in failures:
        click.echo(f"{cell.status}: {cell.method} seed {cell.seed}: {cell.reason}", err=True)
    if failures:
        click.echo("Failed cells stay failed until `--retry failed` (or failed:KIND) tries them again.", err=True)
    if report:
        click.echo(f"Report:  {write_report_if_changed(session, results)}", err=as_json)
    return results
