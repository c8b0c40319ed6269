"""`skewbench report`, `ui` and `sync`: where results are looked at."""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import benchmark
from benchmark.cli.console import print_json
from benchmark.cli.session import Choice, Session, open_session, store_arguments, store_option, suite_options
from benchmark.errors import SkewbenchError
from benchmark.records import CellResult, SuiteResults

if TYPE_CHECKING:
    from trackers.sync import SyncReport

FOLLOW_SECONDS = 3.0
"""How often the follower looks for new cells, at most."""
FOLLOW_REST = 10
"""How many times as long as its last writing took the follower rests: it looks at every cell each time."""
STAMP = ".made-of"
"""The file in a report's folder that says what the report there was made of."""


@click.command()
@suite_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write (default: STORE/reports/SUITE).")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and write nothing.")
def report(choice: Choice, out: Path | None, as_json: bool) -> None:
    """Write the report of SUITE from what is done so far: an offline page, tables (CSV, Markdown, LaTeX) and figures."""
    session = open_session(choice)
    results = session.results()
    if as_json:
        print_json(results)
        return
    if not any(cell.status in ("ok", "failed", "blocked") for cell in results.cells):
        click.echo(
            "Nothing of this selection has run yet. Results of another --set, --only or --seeds need the same options here.", err=True
        )
    click.echo(_write_report(results, out or report_folder(session)))


def report_folder(session: Session) -> Path:
    """A folder for the suite, and one of its own for each other choice of cells, so that a part never replaces the whole."""
    variant = session.choice.variant
    return session.choice.store / "reports" / (f"{session.suite.name}+{variant}" if variant else session.suite.name)


def write_report_if_changed(session: Session, results: SuiteResults) -> Path:
    """Write the report unless the one that stands there was made of the very same results."""
    folder = report_folder(session)
    index, stamp = folder / "index.html", folder / STAMP
    is_same = index.exists() and stamp.exists() and stamp.read_text() == _made_of(results)
    return index if is_same else _write_report(results, folder)


def _write_report(results: SuiteResults, folder: Path) -> Path:
    from reports.write import check_is_ours, write_report

    check_is_ours(folder)
    (folder / STAMP).unlink(missing_ok=True)  # first: a kill on the way must not leave it beside another report
    index = write_report(results, folder)
    (folder / STAMP).write_text(_made_of(results))
    return index


def _made_of(results: SuiteResults) -> str:
    """Digest of all that a report follows from: the results, and the code and templates that write it."""
    import reports

    made_of = hashlib.sha256(f"{benchmark.__version__}\n{results!r}".encode("utf-8", "backslashreplace"))
    files = [file for root in reports.__path__ for file in Path(root).rglob("*") if file.suffix in (".py", ".html", ".css", ".js")]
    own = [Path(benchmark.__path__[0], name) for name in ("summary.py", "labels.py", "answer.py")]
    for file in sorted([*files, *own]):
        made_of.update(file.read_bytes())
    return made_of.hexdigest()


@click.command()
@store_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than this machine's own are let in only if you say so.",
)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
def ui(store: Path, host: str, port: int) -> None:
    """Open the MLflow UI on the results in the store (or on MLFLOW_TRACKING_URI)."""
    from trackers.server import serve_ui

    raise SystemExit(serve_ui(store, host=host, port=port))


@click.command()
@suite_options
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.option("--follow", is_flag=True, hidden=True, help="Go on until standard input ends: how `run` fills MLflow meanwhile.")
def sync(choice: Choice, as_json: bool, follow: bool) -> None:
    """Write what MLflow does not have yet of SUITE's results; a second time changes nothing."""
    from trackers.location import TrackerError

    session = open_session(choice)
    try:
        if follow:
            _follow(session)
            return
        done = _sync(session)
    except TrackerError as error:
        warn(error)
        raise SystemExit(0 if follow else 1) from error
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.uri}: {done.written} cells written, {done.already_there} already there.")


def warn(error: SkewbenchError) -> None:
    """A tracker in trouble is worth a warning and no more."""
    click.echo(f"skewbench: warning: {error}", err=True)


def _sync(session: Session) -> SyncReport:
    from trackers.sync import sync as write

    results = session.results()
    return write(replace(results, cells=results.cells + _other_seeds(session, results)), store=session.choice.store)


def _other_seeds(session: Session, results: SuiteResults) -> tuple[CellResult, ...]:
    """What the ledger has, by the same code, of these configurations at seeds that are not meant now.

    The tracker's run of a configuration is over all its seeds: `--seeds 1` must not make it one over a single seed.
    """
    planned = {cell.key for cell in results.cells}
    name = session.suite.name
    if session.ledger is None or session.ledger.scored(name).keys() <= planned:
        return ()
    code = {cell.config_key: cell.code for cell in results.cells}
    recorded = session.ledger.cells(name).values()
    return tuple(cell for cell in recorded if cell.key not in planned and code.get(cell.config_key) == cell.code)


def _follow(session: Session) -> None:
    """Write new cells as they are recorded, at the lowest priority, until the parent's end of the pipe closes; then once more."""
    os.nice(19)
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    seen, rest = 0, FOLLOW_SECONDS
    while not ended.wait(rest):
        seq = session.ledger.seq(session.suite.name) if session.ledger else 0
        if seq != seen:
            begun = time.monotonic()
            _sync(session)
            seen, rest = seq, max(FOLLOW_SECONDS, FOLLOW_REST * (time.monotonic() - begun))
    _sync(session)


def mirror_pending(session: Session) -> bool:
    """Whether the tracker lacks something, asked without importing MLflow."""
    from trackers.location import default_uri
    from trackers.mirror import Mirror

    return bool(Mirror(session.choice.store).pending(default_uri(session.choice.store), session.results().cells))


def tracker_place(store: Path) -> str:
    """How to look at the results in MLflow."""
    command = shlex.join(["skewbench", "ui", *store_arguments(store)])
    return command + ("  (MLFLOW_TRACKING_URI is set)" if os.environ.get("MLFLOW_TRACKING_URI") else "")
