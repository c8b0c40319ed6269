"""The MLflow web page over the local tracker: on this machine only, unless told otherwise."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.errors import UserError
from trackers import database
from trackers.location import SETTINGS, checked, default_uri, redact, sqlite_path
from trackers.service import GRACE_SECONDS, Service, require_free, serve

__all__ = ["mlflow_command", "require_free", "serve_ui", "server_environment", "ui_command"]


def ui_command(store: Path, uri: str | None, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves the page. Raises UserError where the tracker is a server already, TrackerError for a bad URI."""
    uri = checked(uri or default_uri(store))
    if sqlite_path(uri) is None:
        raise UserError(f"The tracker is a server already: open {redact(uri)} in a browser.")
    places = ["--backend-store-uri", uri, "--default-artifact-root", (store.resolve() / "artifacts").as_uri()]
    return [*mlflow_command(host, port, workers=1), *places]


def mlflow_command(host: str, port: int, *, workers: int) -> list[str]:
    """MLflow's server without a line for each request."""
    options = f"--log-level warning --timeout-graceful-shutdown {GRACE_SECONDS}"
    where = ["--host", host, "--port", str(port), "--workers", str(workers)]
    return [sys.executable, "-m", "mlflow", "server", *where, "--uvicorn-opts", options]


def server_environment() -> dict[str, str]:
    """Without the job runner MLflow starts 2 processes in place of 10, and nothing of ours is lost. No client's login goes with it."""
    of_clients = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    ours = {name: value for name, value in os.environ.items() if name not in of_clients}
    return {**SETTINGS, **ours, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def serve_ui(store: Path, *, host: str, port: int, ready: Callable[[str], None]) -> int:
    """Serve until interrupted; the server's exit code, 0 if interrupted. Sets up the database first: MLflow itself locks nothing."""
    command = ui_command(store, None, host, port)
    require_free(host, port)
    path = sqlite_path(checked(default_uri(store)))
    if path is not None:
        database.prepare(path)
    return serve(Service(command, server_environment(), host, port, store / "server" / "ui.log"), ready=ready)
