"""`skewbench report`, `ui` and `sync`: where results are looked at."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path

import click

from benchmark.cli.session import Choice, Session, open_session, store_option, suite_options
from benchmark.records import SuiteResults

FOLLOW_SECONDS = 3.0
"""How often the follower looks for new cells."""


@click.command()
@suite_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write (default: STORE/reports/SUITE).")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and write nothing.")
def report(choice: Choice, out: Path | None, as_json: bool) -> None:
    """Write the report of SUITE from what is done so far: an offline page, tables (CSV, Markdown, LaTeX) and figures."""
    session = open_session(choice)
    results = session.results()
    if as_json:
        import dataclasses
        import json

        click.echo(json.dumps(dataclasses.asdict(results), indent=2))
        return
    from reports.write import write_report

    click.echo(write_report(results, out or report_folder(session)))


def report_folder(session: Session) -> Path:
    return session.choice.store / "reports" / session.suite.name


def write_report_if_changed(session: Session, results: SuiteResults) -> Path:
    """Write the report unless the one that stands there was made of the very same results."""
    folder = report_folder(session)
    stamp = folder / ".made-of"
    made_of = hashlib.sha256(repr(results).encode()).hexdigest()
    index = folder / "index.html"
    if index.exists() and stamp.exists() and stamp.read_text() == made_of:
        return index
    from reports.write import write_report

    index = write_report(results, folder)
    stamp.write_text(made_of)
    return index


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
@click.option("--follow", is_flag=True, hidden=True, help="Go on until standard input ends: how `run` fills MLflow meanwhile.")
def sync(choice: Choice, follow: bool) -> None:
    """Write what MLflow does not have yet of SUITE's results; a second time changes nothing."""
    from trackers.location import TrackerError

    session = open_session(choice)
    try:
        if follow:
            _follow(session)
        else:
            done = _sync(session)
            click.echo(done)
    except TrackerError as error:
        click.echo(f"skewbench: warning: {error} No result is lost.", err=True)
        raise SystemExit(0 if follow else 1) from error


def _sync(session: Session) -> str:
    from trackers.sync import sync as write

    report = write(session.results(), store=session.choice.store)
    return f"{report.uri}: {report.written} cells written, {report.already_there} already there."


def _follow(session: Session) -> None:
    """Write new cells as they are recorded, at the lowest priority, until the parent's end of the pipe closes; then once more."""
    os.nice(19)
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    seen = -1
    while not ended.wait(FOLLOW_SECONDS):
        seq = session.ledger.seq(session.suite.name)
        if seq != seen:
            _sync(session)
            seen = seq
    _sync(session)


def mirror_pending(session: Session) -> bool:
    """Whether the tracker lacks something, asked without importing MLflow."""
    from trackers.location import default_uri
    from trackers.mirror import Mirror

    return bool(Mirror(session.choice.store).pending(default_uri(session.choice.store), session.results().cells))


def tracker_place(store: Path) -> str:
    """How to look at the results in MLflow."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    suffix = "" if str(store) == "skewbench-results" else f" --store {store}"
    return f"skewbench ui{suffix}" + ("  (MLFLOW_TRACKING_URI is set)" if uri else "")
