"""The MLflow web page over the local tracker: on this machine only, unless told otherwise."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmark.errors import UserError
from trackers import database
from trackers.location import SETTINGS, checked, default_uri, redact, sqlite_path

_STOP_SECONDS = 10.0


def ui_command(store: Path, uri: str | None, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """The command that serves the page. Raises UserError where the tracker is a server already, TrackerError for a bad URI."""
    uri = checked(uri or default_uri(store))
    if sqlite_path(uri) is None:
        raise UserError(f"The tracker is a server already: open {redact(uri)} in a browser.")
    return [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--default-artifact-root"] + [
        (store.resolve() / "artifacts").as_uri(),
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def server_environment() -> dict[str, str]:
    """Without the job runner MLflow starts 2 processes in place of 10, and nothing of ours is lost."""
    return {**SETTINGS, **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def serve_ui(store: Path, uri: str | None = None, *, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Serve until interrupted; the server's exit code, 0 if interrupted. Sets up the database first: MLflow itself locks nothing."""
    command = ui_command(store, uri, host, port)
    require_free(host, port)
    path = sqlite_path(checked(uri or default_uri(store)))
    if path is not None:
        database.prepare(path)
    server = subprocess.Popen(command, env=server_environment())
    try:
        return server.wait()
    except KeyboardInterrupt:  # a terminal's Ctrl-C reaches the server too, a signal to this process alone does not
        _stop(server)
        return 0


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and its workers: politely first, and by force after a while, or at once if interrupted again."""
    processes = [psutil.Process(server.pid)] if server.poll() is None else []
    processes += [worker for process in processes for worker in process.children(recursive=True)]
    try:
        _signal(processes, psutil.Process.terminate)
        psutil.wait_procs(processes, timeout=_STOP_SECONDS)
    finally:
        _signal(processes, psutil.Process.kill)
        server.wait()


def _signal(processes: Sequence[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            send(process)


def require_free(host: str, port: int) -> None:
    """Raises UserError if nothing can listen there, naming the reason."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        why = error.strerror or str(error)
        raise UserError(f"The MLflow page cannot be served at {host}:{port}: {why}. Name another with `--port`.") from error
