"""Where the tracker is: its URI, what is refused and why, passwords kept out of sight, and MLflow's settings. Imports no MLflow."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmark.errors import SkewbenchError
from benchmark.redaction import redact

__all__ = ["SETTINGS", "TrackerError", "checked", "default_uri", "prepare_environment", "redact", "remedy", "sqlite_path", "without_login"]

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
_SYNC = "then run `skewbench sync`."


def _status(code: int) -> str:
    """A pattern for an HTTP status as MLflow, requests and `check` write it; the bare number may be a part of a port or of a path."""
    return rf"^{code}\b|error code {code}\b|\b{code} Client Error"


_REMEDIES = (
    (
        (_status(401), "UNAUTHENTICATED", "not authenticated"),
        f"It refuses the login: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to those of one of its users, {_SYNC}",
    ),
    (("Permission denied", "PERMISSION_DENIED"), f"That user may not write there: ask its administrator for the permission EDIT, {_SYNC}"),
    (
        ("Invalid Host header", _status(403)),
        "It does not go by that name: start it with `--allowed-hosts NAME`, or use a name that it knows.",
    ),
    (("disk is full", "No space left", "disk full", "DiskFull", "Disk quota"), f"Its disk is full: make room there, {_SYNC}"),
    (("database is locked", "TEMPORARILY_UNAVAILABLE"), "Another program holds its database: `skewbench sync` tries again."),
    (
        ("Connection refused", "Max retries", "timed out", "Connection aborted", "RemoteDisconnected", "Name or service", "resolve"),
        f"Is it running, and is that its address? `skewbench serve --check` asks it; {_SYNC}",
    ),
)
"""What a tracker says in trouble (patterns), and what to do; the first that is found counts."""


class TrackerError(SkewbenchError):
    """The tracker could not be read or written. No result is lost: the ledger has them all, `skewbench sync` fills the tracker later."""


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


def without_login(uri: str) -> tuple[str, tuple[str, str]]:
    """The URI without the login in it, and that login: user and password; those of the environment where it has none."""
    parts = urlsplit(uri)
    if parts.username is None or parts.password is None:
        return uri, (os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), (unquote(parts.username), unquote(parts.password))


def remedy(trouble: str) -> str:
    """What to do about what a tracker said, as a sentence; `skewbench sync` in any case, since no result is lost."""
    return next((advice for signs, advice in _REMEDIES if re.search("|".join(signs), trouble)), f"Mend that, {_SYNC}")
