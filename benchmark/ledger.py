"""The ledger: one SQLite row per stage and cell, committed as it ends; the source of truth that everything else is made from.

A stage's arrays are on disk before its row is committed, so a row always means a whole result. Claims keep two processes on one store
from doing the same stage; a claim whose process is gone counts for nothing. A store belongs to one machine (SQLite in WAL).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmark.arrays import Arrays, StoredFile, read_arrays, write_arrays
from benchmark.errors import LedgerError
from benchmark.records import CellResult
from benchmark.stages import Stage

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stages (
    key TEXT PRIMARY KEY, science_key TEXT NOT NULL, op TEXT NOT NULL, owner TEXT NOT NULL, parent TEXT, config TEXT NOT NULL,
    code TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL, log_tail TEXT NOT NULL, facts TEXT NOT NULL,
    profile TEXT NOT NULL, context TEXT NOT NULL, file TEXT, started REAL NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS stages_science ON stages (science_key);
CREATE TABLE IF NOT EXISTS cells (
    suite TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, last TEXT NOT NULL, scoring TEXT NOT NULL, status TEXT NOT NULL,
    result TEXT NOT NULL, PRIMARY KEY (suite, key));
CREATE INDEX IF NOT EXISTS cells_seq ON cells (seq);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, born REAL NOT NULL);
"""

StageStatus = Literal["ok", "failed"]


@dataclass(frozen=True)
class StageRow:
    """How a stage ended."""

    key: str
    science_key: str
    op: str
    owner: str
    code: Mapping[str, str]
    status: StageStatus
    kind: str = ""
    """Of a failure: out-of-memory, not-finite, error, …"""
    message: str = ""
    log_tail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small results that reports read: curve, number of parameters, …"""
    profile: Mapping[str, float] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    file: StoredFile | None = None
    """None: nothing stored, or released since no stage needs it any more."""
    started: float = 0.0
    ended: float = 0.0


class Ledger:
    """A store folder: `ledger.sqlite` and `arrays/`. Use as a context manager."""

    def __init__(self, store: Path) -> None:
        self.store = store
        store.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(store / "ledger.sqlite", timeout=60, isolation_level=None)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerError(f"{store / 'ledger.sqlite'} cannot be read: {error}. Move the folder away and run again.") from error

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('schema_version', ?)", (str(SCHEMA_VERSION),))
        (found,) = self._db.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
        if found != str(SCHEMA_VERSION):
            self._db.close()
            raise LedgerError(
                f"{self.store} was written by another version of skewbench (schema {found}, this one knows {SCHEMA_VERSION}). "
                "Use that version, or another --store."
            )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- stages

    def record(self, stage: Stage, row: StageRow, arrays: Arrays | None = None) -> None:
        """Store a stage's arrays, then its row; the claim on it ends in the same transaction."""
        file = write_arrays(self.store, f"arrays/{stage.key[:2]}/{stage.key}.safetensors", arrays) if arrays else None
        values = (
            stage.key, stage.science_key, stage.op, stage.owner, stage.parent.key if stage.parent else None, json.dumps(stage.config),
            json.dumps(stage.all_code), row.status, row.kind, row.message, row.log_tail, json.dumps(row.facts), json.dumps(row.profile),
            json.dumps(row.context), json.dumps(asdict(file)) if file else None, row.started, row.ended,
        )  # fmt: skip
        with self._transaction():
            self._db.execute(f"INSERT OR REPLACE INTO stages VALUES ({','.join('?' * len(values))})", values)
            self._db.execute("DELETE FROM claims WHERE key = ?", (stage.key,))

    def stages(self) -> dict[str, StageRow]:
        """Every stage row by key, light enough for a plan: without log, facts, context and profile."""
        query = "SELECT key, science_key, op, owner, code, status, kind, message, file, started, ended FROM stages ORDER BY ended"
        codes: dict[str, Mapping[str, str]] = {}  # a few distinct texts stand in thousands of rows
        rows = {}
        for key, science, op, owner, code, status, kind, message, file, started, ended in self._db.execute(query):
            if code not in codes:
                codes[code] = json.loads(code)
            stored = StoredFile(**json.loads(file)) if file else None
            rows[key] = StageRow(key, science, op, owner, codes[code], status, kind, message, file=stored, started=started, ended=ended)
        return rows

    def stage(self, key: str) -> StageRow | None:
        """One stage row, whole."""
        query = (
            "SELECT key, science_key, op, owner, code, status, kind, message, log_tail, facts, profile, context, file, started, ended "
            "FROM stages WHERE key = ?"
        )
        found = self._db.execute(query, (key,)).fetchone()
        if found is None:
            return None
        key, science_key, op, owner, code, status, kind, message, log_tail, *documents, file, started, ended = found
        facts, profile, context = map(json.loads, documents)
        return StageRow(
            key, science_key, op, owner, json.loads(code), status, kind, message, log_tail, facts, profile, context,
            StoredFile(**json.loads(file)) if file else None, started, ended,
        )  # fmt: skip

    def arrays(self, row: StageRow) -> Arrays:
        """A stage's arrays; DamagedFile if they are not what was written."""
        assert row.file is not None, f"stage {row.key} has no stored arrays"
        return read_arrays(self.store, row.file)

    def release(self, key: str) -> None:
        """Delete the arrays of a stage that nothing needs any more; its row stays."""
        row = self.stage(key)
        if row is None or row.file is None:
            return
        self._db.execute("UPDATE stages SET file = NULL WHERE key = ?", (key,))
        (self.store / row.file.path).unlink(missing_ok=True)

    def forget(self, keys: Sequence[str]) -> None:
        """Take stages back as if they had never run: damaged ones, and failed ones that are to be tried again."""
        with self._transaction():
            self._db.executemany("DELETE FROM stages WHERE key = ?", [(key,) for key in keys])

    # -- claims

    def claim(self, key: str, *, purpose: str) -> bool:
        """True if this process may compute the stage for the stage `purpose`: nobody living is at it, and neither is done meanwhile."""
        ended = "SELECT 1 FROM stages WHERE key IN (?, ?) AND (file IS NOT NULL OR status = 'failed')"
        with self._transaction():
            done = self._db.execute(ended, (key, purpose)).fetchone()
            holder = self._db.execute("SELECT host, pid, born FROM claims WHERE key = ?", (key,)).fetchone()
            if done or (holder and _alive(*holder)):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, *_ourselves()))
        return True

    def unclaim(self, key: str) -> None:
        """Give a claim of this process back."""
        host, pid, _ = _ourselves()
        self._db.execute("DELETE FROM claims WHERE key = ? AND host = ? AND pid = ?", (key, host, pid))

    # -- cells

    def record_cell(self, result: CellResult, *, last: str, scoring: str) -> None:
        """Store a cell's result; `last` is its last stage, `scoring` the key of the metrics that scored it."""
        text = json.dumps(asdict(result))
        with self._transaction():
            (seq,) = self._db.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM cells").fetchone()
            values = (result.suite, result.key, seq, last, scoring, result.status, text)
            self._db.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def scored(self, suite: str) -> dict[str, tuple[str, str]]:
        """Cell key to (status, scoring key) of a suite's recorded cells."""
        rows = self._db.execute("SELECT key, status, scoring FROM cells WHERE suite = ?", (suite,))
        return {key: (status, scoring) for key, status, scoring in rows}

    def cells(self, suite: str) -> dict[str, CellResult]:
        """The recorded results of a suite by cell key."""
        rows = self._db.execute("SELECT result FROM cells WHERE suite = ?", (suite,))
        results = (_result(json.loads(text)) for (text,) in rows)
        return {result.key: result for result in results}

    def seq(self, suite: str) -> int:
        """A number that rises whenever a cell of the suite is recorded."""
        (found,) = self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM cells WHERE suite = ?", (suite,)).fetchone()
        return int(found)


def _result(data: dict[str, Any]) -> CellResult:
    data["confusion_KK"] = data["confusion_KK"] and tuple(tuple(row) for row in data["confusion_KK"])
    data["curve"] = tuple((int(step), float(loss)) for step, loss in data["curve"])
    for name in ("class_names", "class_counts", "sampled_counts"):
        data[name] = tuple(data[name])
    return CellResult(**data)


def _ourselves() -> tuple[str, int, float]:
    import psutil

    return socket.gethostname(), os.getpid(), psutil.Process().create_time()


def _alive(host: str, pid: int, born: float) -> bool:
    """Whether the process that made a claim still runs. One of another host cannot: a store belongs to one machine and was moved here."""
    import psutil

    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def now() -> float:
    """Unix seconds."""
    return time.time()
