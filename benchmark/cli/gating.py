"""`skewbench gate`: has quality, time or memory got worse?"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from benchmark.cells import Cell
from benchmark.cli.console import print_json
from benchmark.cli.engines import Means, means_options, prepare
from benchmark.cli.gauging import Windows, gauge, measured_now, recorded
from benchmark.cli.outputs import Outputs, deliver, output_options
from benchmark.cli.running import follower, run_cells
from benchmark.cli.session import Choice, Session, open_session, suite_options
from benchmark.cli.verdicts import print_verdict
from benchmark.errors import UserError, unknown
from benchmark.evaluate import metric_label
from benchmark.gate.baseline import Baseline, Baselines, pair_of
from benchmark.gate.check import Check
from benchmark.gate.policy import Policy, points, share
from benchmark.gate.sides import match
from benchmark.gate.triage import commit_of, installed, lock_changes
from benchmark.gate.verdict import Archive, Change, GateVerdict
from benchmark.grid import expand
from benchmark.ledger import Ledger
from benchmark.records import CellResult

RERUNS = 2
"""How often a configuration is measured again whose time or memory is alarming or undecided."""
EPILOG = """\b
Exit codes: 0 no regression, 3 regressed, 4 inconclusive, 5 could not measure; 1, 2 and 130 as everywhere: then there is no verdict.
"""


@dataclass(frozen=True)
class Request:
    """What a check was asked for, beside the cells."""

    against: str
    quality: str
    time: str | None
    memory: str | None
    alpha: float
    metric: tuple[str, ...]
    cell: str | None
    run: bool
    confirm: bool

    def policy(self, baseline: Baseline) -> Policy:
        """Time and memory are asked for where the baseline was measured, unless the user says otherwise."""
        default = "5%" if baseline.timings else "off"
        margins = (points(self.quality), share(self.time or default), share(self.memory or default))
        return Policy(*margins, self.alpha, self.metric)

    @property
    def arguments(self) -> list[str]:
        """As on the command line."""
        found = ["--against", self.against, "--quality", self.quality]
        for name, value in (("--time", self.time), ("--memory", self.memory), ("--cell", self.cell)):
            found += [name, value] if value else []
        found += [text for name in self.metric for text in ("--metric", name)]
        return [*found, "--alpha", f"{self.alpha:g}"]


@click.command(epilog=EPILOG)
@suite_options
@means_options
@click.option("--against", default="main", show_default=True, help="Name of the baseline.")
@click.option("--quality", default="0.5pp", show_default=True, metavar="PP|off", help="Loss of a metric that is a regression.")
@click.option("--time", "seconds", metavar="%|off", help="The same for seconds alone on the machine [5%, off without --timings].")
@click.option("--memory", metavar="%|off", help="The same for the memory peak [5%, off without --timings].")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=0.01,
    show_default=True,
    help="Risk of a false alarm in the whole check.",
)
@click.option("--metric", multiple=True, help="Metric to judge; may be repeated (default: the suite's first, and accuracy).")
@click.option("--cell", metavar="ID", help="This cell alone, by its stored predictions: have its two networks become different?")
@click.option("--run/--no-run", default=True, help="Run what is missing and measure, or judge what is recorded.")
@click.option("--fresh", is_flag=True, help="Compute everything again, in a store of its own that is removed afterwards.")
@click.option("--confirm/--no-confirm", default=True, help="Measure alarming times again before they count.")
@click.option("--no-tracker", is_flag=True, help="Do not write to MLflow now.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@output_options
@click.pass_context
def gate(  # noqa: PLR0913  # one argument per option
    context: click.Context,
    choice: Choice,
    means: Means,
    against: str,
    quality: str,
    seconds: str | None,
    memory: str | None,
    alpha: float,
    metric: tuple[str, ...],
    cell: str | None,
    run: bool,
    fresh: bool,
    confirm: bool,
    no_tracker: bool,
    as_json: bool,
    outputs: Outputs,
) -> None:
    """Compare SUITE, as it is now, with an accepted baseline: paired by cell and seed.

    Runs the cells that are missing. A regression is a loss that is significant and at least the margin; `inconclusive` says how many
    more seeds would decide. Results of the same code are reused: then they are the baseline's, to the bit.
    """
    request = Request(against, quality, seconds, memory, alpha, metric, cell, run, confirm)
    with _place(choice, fresh=fresh) as place:
        verdict = _checked(place, choice, means, request, tracker=not (no_tracker or fresh))
    Archive(choice.store, verdict.suite).keep(verdict)
    if as_json:
        print_json(verdict.document)
    else:
        print_verdict(verdict)
    deliver(verdict.document, outputs, store=choice.store, tracker=not no_tracker)
    context.exit(verdict.exit_code)


@contextlib.contextmanager
def _place(choice: Choice, *, fresh: bool) -> Iterator[Choice]:
    """The store to run in: the user's, or one that is empty and goes away."""
    if not fresh:
        yield choice
        return
    choice.store.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=choice.store, prefix="fresh-"))
    try:
        yield replace(choice, store=folder)
        _keep_history(folder, choice.store)
    finally:
        shutil.rmtree(folder)


def _keep_history(fresh: Path, store: Path) -> None:
    """What was measured in a store that goes away stays in the history of the one that is kept."""
    with Ledger(fresh, writable=False) as measured, Ledger(store) as kept:
        for suite in measured.suites():
            kept.add_points(measured.points(suite))


def _checked(place: Choice, choice: Choice, means: Means, request: Request, *, tracker: bool) -> GateVerdict:
    session = open_session(place, create=True)
    baseline = Baselines(choice.store, session.suite.name).read(request.against)
    policy = request.policy(baseline)
    _check_metrics(session, policy)
    if request.cell:
        session = only_cell(session, baseline, request.cell)
    if request.run:
        todo = session.todo()
        prepared = prepare(session, means, todo, say=lambda text: click.echo(text, err=True))
        with follower(session, enabled=tracker) as wire:
            run_cells(session, means, todo, prepared, watch=wire.watch)
    now = measured_now(session, here=request.run)
    matches = match(baseline, now, whole=not (choice.only or choice.seeds is not None or request.cell))
    cells = {planned.work.key: planned.cell for planned in session.plan.cells if planned.work}
    check = Check(
        baseline, matches, session.suite.metrics, policy, command_of=lambda cell: _again(choice, cells, cell, session),
        environment=_environment(session, baseline), single=bool(request.cell),
    )  # fmt: skip
    check = _measured(session, means, check, request)
    return check.verdict(
        baseline=request.against, created=time.time(), commit_before=baseline.commit, commit_after=_commit(session),
        command=f"{choice.command('gate')} {shlex.join(request.arguments)}",
    )  # fmt: skip


def _measured(session: Session, means: Means, check: Check, request: Request) -> Check:
    """The check with what was measured alone now, and again where that is alarming or undecided."""
    if check.policy.time is check.policy.memory is None:
        return check
    if not request.run:
        return replace(check, timings=recorded(session))
    there = [each for each in check.matches if each.state in ("unchanged", "measured") and each.setting in check.baseline.timings]
    keys = {each.result.key for each in there}
    timings: Windows = gauge(session, means, keys, 1)
    for _ in range(RERUNS if request.confirm else 0):
        undecided = replace(check, timings=timings).undecided_costs()
        if not undecided:
            break
        for setting, more in gauge(session, means, keys, 1, settings=undecided).items():
            timings[setting] += more
    return replace(check, timings=timings)


def _check_metrics(session: Session, policy: Policy) -> None:
    known = [metric_label(metric) for metric in session.suite.metrics]
    for name in policy.metrics:
        if name not in known:
            raise UserError(f"--metric {name}: " + unknown("metric of this suite", name, known))


def only_cell(session: Session, baseline: Baseline | None, wanted: str) -> Session:
    """The cell whose id begins so: as `plan` prints it now, as the baseline has it, or as a verdict's `pair`."""
    of_baseline = {cell.pair for cell in baseline.cells if cell.result.key.startswith(wanted)} if baseline else set()
    found = []
    for planned in session.plan.cells:
        pair = pair_of(planned.work.resolved) if planned.work else ""
        if planned.work and (planned.work.key.startswith(wanted) or pair.startswith(wanted) or pair in of_baseline):
            found.append(planned.cell)
    if len(found) != 1:
        what = "no cell" if not found else f"{len(found)} cells"
        raise UserError(f"--cell {wanted}: {what} of '{session.suite.name}' begins so: `{session.choice.command('plan')}` lists the ids.")
    return session.only(found)


def _environment(session: Session, baseline: Baseline) -> list[Change]:
    """Other commits and distributions than when the baseline was accepted."""
    now = _commit(session)
    commit = [Change("commit", "suite", baseline.commit, now)] if baseline.commit and now and baseline.commit != now else []
    return [*commit, *(lock_changes(baseline.libraries, installed()) if baseline.libraries else [])]


def _commit(session: Session) -> str:
    return commit_of(session.folders.suite or Path())


def _again(choice: Choice, cells: Mapping[str, Cell], cell: CellResult, session: Session) -> str:
    """The command that computes one cell again, in a store of its own, since the store's result would be reused."""
    found = cells.get(cell.key)
    if found is None:
        return ""
    only = [text for item in only_words(session, found) for text in ("--only", item)]
    return shlex.join(["skewbench", "run", *replace(choice, only=()).arguments, *only, "--store", str(choice.store / "again")])


def only_words(session: Session, cell: Cell) -> list[str]:
    """What `--only` takes to mean this one cell of the whole suite."""
    every = expand(session.suite, limit=None)
    varying = _varying([each.config.attributes for each in every])
    attributes = cell.config.attributes
    return [*(f"{name}={_value(attributes[name])}" for name in varying if attributes.get(name) is not None), f"seed={cell.seed}"]


def _varying(found: Sequence[object]) -> list[str]:
    rows = [dict(each) for each in found]  # type: ignore[call-overload]  # mappings
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({str(row.get(name)) for row in rows}) > 1]


def _value(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
