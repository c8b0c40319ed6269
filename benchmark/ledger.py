"""The ledger: one SQLite row per stage and cell, committed as it ends; the source of truth that everything else is made from.

A stage's arrays are on disk before its row is committed, so a row always means a whole result. Claims keep two processes on one store
from doing the same stage; a claim whose process is gone counts for nothing. A store belongs to one machine (SQLite in WAL).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmark.arrays import Arrays, DamagedFile, StoredFile, read_arrays, write_arrays
from benchmark.errors import LedgerError
from benchmark.owners import alive, ourselves
from benchmark.records import CellResult, Status
from benchmark.stages import Stage

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stages (
    key TEXT PRIMARY KEY, science_key TEXT NOT NULL, op TEXT NOT NULL, owner TEXT NOT NULL, parent TEXT, config TEXT NOT NULL,
    code TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL, log_tail TEXT NOT NULL, facts TEXT NOT NULL,
    profile TEXT NOT NULL, context TEXT NOT NULL, file TEXT, started REAL NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS stages_science ON stages (science_key);
CREATE TABLE IF NOT EXISTS cells (
    suite TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, last TEXT NOT NULL, scoring TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (suite, key));
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
    damage: str = ""
    """What is plainly wrong with the file: missing, or of another size."""
    started: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Scored:
    """How a recorded cell stands."""

    status: Status
    scoring: str
    """Key of the metrics that scored it."""
    reason: str


class Ledger:
    """A store folder: `ledger.sqlite` and `arrays/`. Use as a context manager."""

    def __init__(self, store: Path, *, writable: bool = True) -> None:
        """Open a store; a writable one is made if it is not there. LedgerError if it is damaged or of another version."""
        self.store = store
        self._writable = writable
        file = store / "ledger.sqlite"
        try:
            self._db = self._connected(file)
            self._prepare()
        except sqlite3.OperationalError as error:
            raise LedgerError(f"{file} cannot be used: {error}. Is the folder writable and the disk not full?") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise LedgerError(f"{file} is damaged: {error}. Move the folder {store} away and run again.") from error

    def _connected(self, file: Path) -> sqlite3.Connection:
        if self._writable:
            self.store.mkdir(parents=True, exist_ok=True)
            return sqlite3.connect(file, timeout=60, isolation_level=None)
        # WAL wants to write beside the file even to read it: where that is not possible the file is taken as it is
        mode = "mode=ro" if os.access(self.store, os.W_OK) else "immutable=1"
        return sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, timeout=60, isolation_level=None)

    def _prepare(self) -> None:
        if self._writable:
            with _locked(self.store / "ledger.lock"):  # the switch to WAL does not wait for another process that is at it
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
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
        """All or nothing; LedgerError where the system refuses (disk full, locked for a minute)."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise LedgerError(f"{self.store / 'ledger.sqlite'} cannot be written: {error}. Everything recorded so far is kept.") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _read(self, query: str, values: tuple[str, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.store / 'ledger.sqlite'} cannot be read: {error}.") from error

    # -- stages

    def record(self, stage: Stage, row: StageRow, arrays: Arrays | None = None, *, release: Sequence[str] = ()) -> None:
        """Store a stage's arrays, then its row. In the same transaction its claim ends and the arrays of stages in `release` are let go."""
        file = write_arrays(self.store, f"arrays/{stage.key[:2]}/{stage.key}.safetensors", arrays) if arrays else None
        values = (
            stage.key, stage.science_key, stage.op, stage.owner, stage.parent.key if stage.parent else None, json.dumps(stage.config),
            json.dumps(stage.all_code), row.status, row.kind, row.message, row.log_tail, json.dumps(row.facts), json.dumps(row.profile),
            json.dumps(row.context), _file_text(file), row.started, row.ended,
        )  # fmt: skip
        with self._transaction():
            self._db.execute(f"INSERT OR REPLACE INTO stages VALUES ({','.join('?' * len(values))})", values)
            self._db.execute("DELETE FROM claims WHERE key = ?", (stage.key,))
            let_go = [self._file(key) for key in release]
            self._db.executemany("UPDATE stages SET file = NULL WHERE key = ?", [(key,) for key in release])
        for freed in let_go:
            if freed is not None:
                (self.store / freed.path).unlink(missing_ok=True)

    def _file(self, key: str) -> StoredFile | None:
        found = self._db.execute("SELECT file FROM stages WHERE key = ?", (key,)).fetchone()
        return _stored(found[0]) if found else None

    def stages(self) -> dict[str, StageRow]:
        """Every stage row by key, light enough for a plan: without log, facts, context and profile."""
        query = "SELECT key, science_key, op, owner, code, status, kind, message, file, started, ended FROM stages ORDER BY ended"
        codes: dict[str, Mapping[str, str]] = {}  # a few distinct texts stand in thousands of rows
        rows = {}
        for key, science, op, owner, code, status, kind, message, file, started, ended in self._read(query):
            if code not in codes:
                codes[code] = json.loads(code)
            stored = _stored(file)
            damage = stored.problem(self.store) if stored else ""
            rows[key] = StageRow(
                key, science, op, owner, codes[code], status, kind, message, file=stored, damage=damage, started=started, ended=ended
            )  # fmt: skip
        return rows

    def stage(self, key: str) -> StageRow | None:
        """One stage row, whole."""
        query = (
            "SELECT key, science_key, op, owner, code, status, kind, message, log_tail, facts, profile, context, file, started, ended "
            "FROM stages WHERE key = ?"
        )
        found = self._read(query, (key,)).fetchone()
        if found is None:
            return None
        key, science_key, op, owner, code, status, kind, message, log_tail, *documents, file, started, ended = found
        facts, profile, context = map(json.loads, documents)
        stored = _stored(file)
        damage = stored.problem(self.store) if stored else ""
        return StageRow(
            key, science_key, op, owner, json.loads(code), status, kind, message, log_tail, facts, profile, context,
            stored, damage, started, ended,
        )  # fmt: skip

    def arrays(self, row: StageRow) -> Arrays:
        """A stage's arrays. If they are not what was written, the row is taken back and DamagedFile raised."""
        if row.file is None:
            raise DamagedFile(f"the arrays of {row.op} {row.key} are gone")
        try:
            return read_arrays(self.store, row.file)
        except DamagedFile:
            if self._writable:
                self.forget_damaged(row)
            raise

    def forget_damaged(self, row: StageRow) -> None:
        """Take a stage back whose file is damaged, unless another process has mended or released it meanwhile."""
        with self._transaction():
            self._db.execute("DELETE FROM stages WHERE key = ? AND file = ?", (row.key, _file_text(row.file)))

    def forget(self, keys: Sequence[str]) -> None:
        """Take failed stages back as if they had never run, so that they are tried again."""
        with self._transaction():
            self._db.executemany("DELETE FROM stages WHERE key = ? AND status = 'failed'", [(key,) for key in keys])

    def sweep(self) -> int:
        """Delete files that no row names, left by processes that were killed; how many. Does nothing while another process works."""
        with self._transaction():
            if any(alive(*holder) for holder in self._db.execute("SELECT host, pid, born FROM claims")):
                return 0
            named = {file.path for (text,) in self._db.execute("SELECT file FROM stages WHERE file IS NOT NULL") if (file := _stored(text))}
            stray = [path for path in (self.store / "arrays").glob("*/*") if path.relative_to(self.store).as_posix() not in named]
            for path in stray:
                path.unlink(missing_ok=True)
        return len(stray)

    # -- claims

    def claim(self, key: str, *, towards: Sequence[str] = ()) -> bool:
        """True if this process may compute the stage: nobody living is at it, and no stage that it leads `towards` is done."""
        keys = (key, *towards)
        ended = f"SELECT 1 FROM stages WHERE key IN ({','.join('?' * len(keys))}) AND (file IS NOT NULL OR status = 'failed')"
        with self._transaction():
            done = self._db.execute(ended, keys).fetchone()
            holder = self._db.execute("SELECT host, pid, born FROM claims WHERE key = ?", (key,)).fetchone()
            if done or (holder and alive(*holder)):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, *ourselves()))
        return True

    def unclaim(self, key: str) -> None:
        """Give a claim of this process back."""
        host, pid, _ = ourselves()
        self._db.execute("DELETE FROM claims WHERE key = ? AND host = ? AND pid = ?", (key, host, pid))

    # -- cells

    def record_cell(self, result: CellResult, *, last: str, scoring: str) -> None:
        """Store a cell's result; `last` is its last stage, `scoring` the key of the metrics that scored it."""
        text = json.dumps(asdict(result))
        with self._transaction():
            (seq,) = self._db.execute("SELECT COALESCE(MAX(seq), 0) + 1 FROM cells").fetchone()
            values = (result.suite, result.key, seq, last, scoring, result.status, result.reason, text)
            self._db.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def scored(self, suite: str) -> dict[str, Scored]:
        """How the recorded cells of a suite stand, by cell key."""
        rows = self._read("SELECT key, status, scoring, reason FROM cells WHERE suite = ?", (suite,))
        return {key: Scored(status, scoring, reason) for key, status, scoring, reason in rows}

    def forget_cells(self, suite: str, keys: Sequence[str]) -> None:
        """Take the results of cells back; their stages stay."""
        with self._transaction():
            self._db.executemany("DELETE FROM cells WHERE suite = ? AND key = ?", [(suite, key) for key in keys])

    def cells(self, suite: str) -> dict[str, CellResult]:
        """The recorded results of a suite by cell key."""
        rows = self._read("SELECT result FROM cells WHERE suite = ?", (suite,))
        results = (_result(json.loads(text)) for (text,) in rows)
        return {result.key: result for result in results}

    def seq(self, suite: str) -> int:
        """A number that rises whenever a cell of the suite is recorded."""
        (found,) = self._read("SELECT COALESCE(MAX(seq), 0) FROM cells WHERE suite = ?", (suite,)).fetchone()
        return int(found)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _file_text(file: StoredFile | None) -> str | None:
    return json.dumps(asdict(file)) if file else None


def _stored(text: str | None) -> StoredFile | None:
    return StoredFile(**json.loads(text)) if text else None


def _result(data: dict[str, Any]) -> CellResult:
    data["confusion_KK"] = data["confusion_KK"] and tuple(tuple(row) for row in data["confusion_KK"])
    data["curve"] = tuple((int(step), float(loss)) for step, loss in data["curve"])
    for name in ("class_names", "class_counts", "sampled_counts"):
        data[name] = tuple(data[name])
    return CellResult(**data)


def now() -> float:
    """Unix seconds."""
    return time.time()
