"""`skewbench ui`, and what verbs say of the tracker."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from benchmark.cli.session import Session, store_arguments, store_option
from benchmark.errors import SkewbenchError
from benchmark.redaction import redact


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

    click.echo("starting MLflow ...", err=True)
    raise SystemExit(serve_ui(store, host=host, port=port, ready=lambda url: click.echo(f"MLflow: {url}   (Ctrl-C ends it)")))


def warn(error: SkewbenchError) -> None:
    """A tracker in trouble is worth a warning and no more."""
    click.echo(f"skewbench: warning: {redact(str(error))}", err=True)


def mirror_pending(session: Session) -> bool:
    """Whether the tracker lacks something, asked without importing MLflow."""
    from trackers.location import default_uri
    from trackers.mirror import Mirror

    return bool(Mirror(session.choice.store).pending(default_uri(session.choice.store), session.results().cells))


def tracker_place(store: Path) -> str:
    """How to look at the results in MLflow."""
    command = shlex.join(["skewbench", "ui", *store_arguments(store)])
    return command + ("  (MLFLOW_TRACKING_URI is set)" if os.environ.get("MLFLOW_TRACKING_URI") else "")
