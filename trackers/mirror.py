"""What is already in which tracker: asked on every run, so it imports no MLflow. A cache: without it the tracker itself is searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmark.records import CellResult
from trackers.content import Shown, cell_digest, covers
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

    def pending(self, uri: str, cells: Sequence[CellResult], shown: Shown | None = None, extras: Sequence[str] = ()) -> list[CellResult]:
        """The cells with a result that the tracker lacks, or has with other content or without the files that `extras` names."""
        there = self._there(uri)
        return [cell for cell in cells if has_run(cell) and not _is_there(cell, there, cell_digest(cell, shown, extras))]

    def suite_pending(self, uri: str, suite: str, variant: str, digest: str) -> bool:
        """Whether the tracker lacks what is said of the suite as a whole."""
        found = self._there(uri).get((suite, variant, -1))
        return found is None or found[1] != digest

    def _there(self, uri: str) -> dict[tuple[str, str, int], tuple[str, str]]:
        """Cell key and digest by suite, configuration and seed; of a suite as a whole by (variant, -1)."""
        if not self._path.is_file():
            return {}
        with self._open() as connection:
            rows = connection.execute(
                "SELECT suite, config_key, seed, cell_key, digest FROM mirrored WHERE uri = ? AND token = ?", (redact(uri), _token(uri))
            )
            return {(suite, config_key, seed): (cell_key, digest) for suite, config_key, seed, cell_key, digest in rows}

    def record(self, uri: str, cell: CellResult, run_id: str) -> None:
        self.record_all(uri, [cell], {cell.key: run_id})

    def record_all(
        self, uri: str, cells: Sequence[CellResult], run_ids: dict[str, str], shown: Shown | None = None, extras: Sequence[str] = ()
    ) -> None:
        """One commit for all cells that have a run id."""
        there = [cell for cell in cells if cell.key in run_ids]
        self._write(uri, [(c.suite, c.config_key, c.seed, c.key, cell_digest(c, shown, extras), run_ids[c.key]) for c in there])

    def record_suite(self, uri: str, suite: str, variant: str, digest: str, run_id: str) -> None:
        self._write(uri, [(suite, variant, -1, "", digest, run_id)])

    def _write(self, uri: str, rows: Sequence[tuple[str, str, int, str, str, str]]) -> None:
        named = (redact(uri), _token(uri))
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO mirrored VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [(*named, *row) for row in rows])

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


def _is_there(cell: CellResult, there: Mapping[tuple[str, str, int], tuple[str, str]], digest: str) -> bool:
    key, found = there.get((cell.suite, cell.config_key, cell.seed), ("", ""))
    return key == cell.key and covers(found, digest)


def _token(uri: str) -> int:
    path = sqlite_path(uri)
    return token(path) if path is not None else 0
