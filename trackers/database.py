"""The SQLite file of a local tracker: made once under our own lock, kept in WAL, and known by a token. Imports MLflow only to create one.

MLflow itself does not lock: four processes that open a new file at once leave three with "table experiments already exists".
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from trackers import blank
from trackers.location import TrackerError, prepare_environment

_CREATING = b"creating"
_BUSY_SECONDS = 20.0


def token(path: Path) -> int:
    """A number drawn when we set the file up, kept in SQLite's header; 0: not there, or not set up by us.

    A database that was deleted and made anew has another one: so what was mirrored to the old one is not taken for written.
    """
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0  # damaged or locked: the writer will say so


def prepare(path: Path) -> None:
    """Create and migrate the database if it is new, switch it to WAL, give it a token. Raises TrackerError."""
    if token(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(path.name + ".lock")) as lock:
            if not token(path):
                _create(path, lock)
                _finish(path)
                os.ftruncate(lock, 0)
    except (OSError, sqlite3.Error) as error:
        raise TrackerError(f"The MLflow database {path} cannot be set up: {error}. Mend that, then run `skewbench sync`.") from error


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold this file's lock, waiting for whoever has it; the file's descriptor. A lock dies with its process."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _create(path: Path, lock: int) -> None:
    """Make what MLflow's migrations make of a new file. The lock file says `creating` meanwhile: who finds that finds half a database."""
    if os.pread(lock, len(_CREATING), 0) == _CREATING:
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.is_file() and path.stat().st_size:
        return  # the user's own MLflow database: MLflow checks its version when it is opened
    os.pwrite(lock, _CREATING, 0)
    os.fsync(lock)
    prepare_environment()
    from mlflow.tracking import MlflowClient

    uri, is_copy = f"sqlite:///{path}", blank.copy_to(path)
    try:
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
    except BaseException:
        _forget(uri)
        if is_copy:
            blank.forget()  # the next attempt has MLflow make all of it
        raise
    if not is_copy:
        blank.keep(path)


def _forget(uri: str) -> None:
    """Close what MLflow keeps open of a half-made database: by it a second attempt in this process would go on in the removed file."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking

    for kind in (Tracking, Registry):
        engine = getattr(kind, "_engine_map", {}).pop(uri, None)
        if engine is not None:
            engine.dispose()


def analyse(path: Path) -> None:
    """Tell SQLite's planner what the tables are like, in 10 ms. Without it, 22,500 runs ordered by a metric took a minute. TrackerError."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection, connection:
            connection.execute("PRAGMA analysis_limit=1000")
            connection.execute("ANALYZE")
    except sqlite3.Error as error:
        raise TrackerError(f"The MLflow database {path} cannot be written: {error}. Mend that, then run `skewbench sync`.") from error


def _finish(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA user_version={secrets.randbelow(2**31 - 1) + 1}")
