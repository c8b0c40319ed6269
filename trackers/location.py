"""Where the tracker is: its URI, what is refused and why, passwords kept out of sight, and MLflow's settings. Imports no MLflow."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from benchmark.errors import SkewbenchError

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""A server that is away must cost seconds, not MLflow's own minutes. What the user has set already wins."""

_SQLITE = "sqlite:///"
_PASSWORD = re.compile(r"(://[^\s/:@]*):\S+@")
_TOKEN = re.compile(r"://[^\s/:@]+@")
_SECRET_FIELD = re.compile(r"(?i)([?&;](?:password|passwd|pwd|token|secret|api_?key)=)[^\s&;]+")


class TrackerError(SkewbenchError):
    """The tracker could not be read or written. No result is lost: the ledger has them all, `skewbench sync` fills the tracker later."""


def redact(text: str) -> str:
    """The text without the passwords and tokens of any URI in it. Hides too much rather than too little."""
    text = _TOKEN.sub("://***@", _PASSWORD.sub(r"\1:***@", text))
    return _SECRET_FIELD.sub(r"\1***", text)


def default_uri(store: Path) -> str:
    """`MLFLOW_TRACKING_URI` if that is set, a SQLite file in the store otherwise; a relative SQLite path is made absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip() or f"{_SQLITE}{store.resolve()}/mlflow.db"
    return _SQLITE + str(Path(uri.removeprefix(_SQLITE)).resolve()) if uri.startswith(_SQLITE) and uri != _SQLITE else uri


def sqlite_path(uri: str) -> Path | None:
    """The database file of a SQLite URI; None for a server."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def checked(uri: str) -> str:
    """The URI, if it is one that can be used: an absolute `sqlite:///` or `http(s)://`. Raises TrackerError otherwise."""
    scheme = urlsplit(uri).scheme if "://" in uri or uri.startswith("file:") else ""
    path = sqlite_path(uri)
    if scheme in ("http", "https") or (path is not None and path.is_absolute() and "?" not in uri):
        return uri
    wanted = "Use an absolute sqlite:////path/to/mlflow.db, or the http(s):// address of an MLflow server."
    if path is not None or scheme == "sqlite":
        raise TrackerError(f"The tracking URI '{redact(uri)}' is not the absolute path of a SQLite file. {wanted}")
    if scheme in ("", "file"):
        why = "is a folder of files, which MLflow stopped supporting in 3.13"
        move = "`mlflow migrate-filestore --source mlruns --target sqlite:///…` moves old runs."
        raise TrackerError(f"The tracking URI '{redact(uri)}' {why}. {wanted} {move}")
    raise TrackerError(f"The tracking URI '{redact(uri)}' has a scheme that skewbench does not write to. {wanted}")


def prepare_environment() -> None:
    """MLflow's settings for this process: to be called before MLflow is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
