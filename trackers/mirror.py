"""What is already in which tracker: asked on every run, so it imports no MLflow. A cache: without it the tracker itself is searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmark.records import CellResult
from trackers.content import content_digest
from trackers.database import token
from trackers.layout import has_run
from trackers.location import TrackerError, redact, sqlite_path

_TABLE = """CREATE TABLE IF NOT EXISTS mirrored (
    uri TEXT, token INTEGER, suite TEXT, config_key TEXT, seed INTEGER, cell_key TEXT NOT NULL, digest TEXT NOT NULL, run_id TEXT NOT NULL,
    PRIMARY KEY (uri, token, suite, config_key, seed)) WITHOUT ROWID"""


class Mirror:
    """Per tracker and seed of a configuration: the cell last written, and with which content. The file is `tracker.db` in the store.

    A local tracker is known by its URI and the token of its database: if that file is deleted, everything is pending again.
    """

    def __init__(self, store: Path) -> None:
        self._path = store / "tracker.db"

    def pending(self, uri: str, cells: Sequence[CellResult]) -> list[CellResult]:
        """The cells with a result that the tracker lacks, or has with other content."""
        if not self._path.is_file():
            return [cell for cell in cells if has_run(cell)]
        with self._open() as connection:
            rows = connection.execute(
                "SELECT suite, config_key, seed, cell_key, digest FROM mirrored WHERE uri = ? AND token = ?", (redact(uri), _token(uri))
            )
            there = {tuple(row[:3]): tuple(row[3:]) for row in rows}
        return [c for c in cells if has_run(c) and there.get((c.suite, c.config_key, c.seed)) != (c.key, content_digest(c))]

    def record(self, uri: str, cell: CellResult, run_id: str) -> None:
        self.record_all(uri, [cell], {cell.key: run_id})

    def record_all(self, uri: str, cells: Sequence[CellResult], run_ids: dict[str, str]) -> None:
        """One commit for all cells that have a run id."""
        named = (redact(uri), _token(uri))
        rows = [(*named, c.suite, c.config_key, c.seed, c.key, content_digest(c), run_ids[c.key]) for c in cells if c.key in run_ids]
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO mirrored VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._usable()) as connection, connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise TrackerError(f"{self._path} cannot be used: {error}. It can be deleted: `skewbench sync` makes it anew.") from error

    def _usable(self) -> sqlite3.Connection:
        """A damaged file is thrown away: all it costs is a search in the tracker."""
        try:
            return self._connected()
        except sqlite3.OperationalError:
            raise  # locked, disk full, not allowed: nothing is damaged
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=20)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _token(uri: str) -> int:
    path = sqlite_path(uri)
    return token(path) if path is not None else 0
