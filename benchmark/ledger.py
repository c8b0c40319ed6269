"""The ledger: one SQLite row per stage and cell, committed as it ends; the source of truth that everything else is made from.

A stage's arrays are on disk before its row is committed, so a row always means a whole result. Claims keep two processes on one store
from doing the same stage; a claim whose process is gone counts for nothing. A store belongs to one machine (SQLite in WAL).
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark import ledger_claims, ledger_points
from benchmark.arrays import Arrays, DamagedFile, StoredFile, read_arrays
from benchmark.errors import LedgerError
from benchmark.moments import Point
from benchmark.owners import locked
from benchmark.records import CellResult
from benchmark.rows import Past, Scored, StageRow, cell_result, file_text, parsed, pasts, stored_file
from benchmark.stages import Stage
from benchmark.tables import SCHEMA, SCHEMA_VERSION


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
            with locked(self.store / "ledger.lock"):  # the switch to WAL does not wait for another process that is at it
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                for statement in SCHEMA.split(";"):
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
            advice = " Make room and issue the same command again." if "full" in str(error) else ""
            kept = f"Everything recorded so far is kept.{advice}"
            raise LedgerError(f"{self.store / 'ledger.sqlite'} cannot be written: {error}. {kept}") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _read(self, query: str, values: tuple[str, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(query, values)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.store / 'ledger.sqlite'} cannot be read: {error}.") from error

    # -- stages

    def record(self, stage: Stage, row: StageRow, *, release: Sequence[str] = ()) -> None:
        """Store a stage's row; the file it names is on disk. In one transaction its claim ends and the arrays of `release` are let go."""
        values = (
            stage.key, stage.science_key, stage.op, stage.owner, stage.parent.key if stage.parent else None, json.dumps(stage.config),
            json.dumps(stage.all_code), row.status, row.kind, row.message, row.log_tail, json.dumps(row.facts), json.dumps(row.profile),
            json.dumps(row.context), file_text(row.file), row.started, row.ended,
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
        return stored_file(found[0]) if found else None

    def stages(self) -> dict[str, StageRow]:
        """Every stage row by key, light enough for a plan: without log, facts, context and profile."""
        query = "SELECT key, science_key, op, owner, code, status, kind, message, file, started, ended FROM stages ORDER BY ended"
        codes: dict[str, Mapping[str, str]] = {}  # a few distinct texts stand in thousands of rows
        rows = {}
        for key, science, op, owner, code, status, kind, message, file, started, ended in self._read(query):
            if code not in codes:
                codes[code] = parsed(code)
            stored = stored_file(file)
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
        stored = stored_file(file)
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
            self._db.execute("DELETE FROM stages WHERE key = ? AND file = ?", (row.key, file_text(row.file)))

    def forget(self, keys: Sequence[str]) -> None:
        """Take failed stages back as if they had never run, so that they are tried again."""
        with self._transaction():
            self._db.executemany("DELETE FROM stages WHERE key = ? AND status = 'failed'", [(key,) for key in keys])

    def sweep(self) -> int:
        """Delete files that no row names, left by processes that were killed; how many. Does nothing while another process works."""
        with self._transaction():
            if ledger_claims.living(self._db.execute):
                return 0
            named = {
                file.path for (text,) in self._db.execute("SELECT file FROM stages WHERE file IS NOT NULL") if (file := stored_file(text))
            }
            stray = [path for path in (self.store / "arrays").glob("*/*") if path.relative_to(self.store).as_posix() not in named]
            for path in stray:
                path.unlink(missing_ok=True)
        return len(stray)

    def history(self) -> list[Past]:
        """What finished stages took, the oldest first."""
        query = "SELECT key, parent, op, config, profile, context FROM stages WHERE status = 'ok' ORDER BY ended"
        return pasts(self._read(query))

    def copy_stage(self, other: Ledger, key: str) -> None:
        """Take over a stage's row as it stands in another store; its file is here already."""
        (values,) = other._read("SELECT * FROM stages WHERE key = ?", (key,)).fetchall()
        with self._transaction():
            self._db.execute(f"INSERT OR REPLACE INTO stages VALUES ({','.join('?' * len(values))})", values)

    # -- claims

    def claim(self, key: str, *, leads_to: Mapping[str, Sequence[str]] | None = None) -> bool:
        """True if this process may compute the stage: nobody living is at it, it is not done, and what it `leads_to` still needs it.

        `leads_to`: the children of the stage and of those after it, by key; a stage that leads to none is wanted for itself.
        """
        with self._transaction():
            return ledger_claims.claim(self._db, key, leads_to or {})

    def unclaim(self, key: str) -> None:
        """Give a claim of this process back."""
        with self._transaction():
            ledger_claims.unclaim(self._db, key)

    def claims(self) -> list[ledger_claims.Claim]:
        """The stages that living processes are at: key, and who (host, process number, when it began)."""
        return ledger_claims.living(self._read)

    # -- notes: small documents about this store, by kind and key

    def note(self, kind: str, key: str, document: Any) -> None:
        """Keep a JSON document, replacing an earlier one of the same kind and key."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (kind, key, json.dumps(document)))

    def notes(self, kind: str) -> dict[str, Any]:
        """Every document of a kind, by key."""
        return {key: json.loads(text) for key, text in self._read("SELECT key, text FROM notes WHERE kind = ?", (kind,))}

    # -- cells

    def record_cell(self, result: CellResult, *, last: str, scoring: str) -> None:
        """Store a cell's result; `last` is its last stage, `scoring` the key of the metrics that scored it."""
        text = json.dumps(asdict(result))
        with self._transaction():
            ledger_points.keep_superseded(self._db, result)
            self._put_cells([(result.suite, result.key, last, scoring, result.status, result.reason, text)])

    def take_over(self, results: Sequence[CellResult]) -> None:
        """Store results that were computed elsewhere, all or none; neither their stages nor a scoring of ours stands behind them."""
        with self._transaction():
            self._put_cells((r.suite, r.key, "", "", r.status, r.reason, json.dumps(asdict(r))) for r in results)

    def _put_cells(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Rows (suite, key, last, scoring, status, reason, result), numbered on. Within a transaction."""
        (seq,) = self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM cells").fetchone()
        numbered = ((suite, key, seq + n, *rest) for n, (suite, key, *rest) in enumerate(rows, start=1))
        self._db.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)", numbered)

    def add_points(self, points: Sequence[Point]) -> int:
        """Append measurements to the history, as of cells that were run again elsewhere; how many were new. None is ever replaced."""
        with self._transaction():
            return ledger_points.add(self._db, points)

    def points(self, suite: str, known: Mapping[str, CellResult] | None = None) -> list[Point]:
        """Every measurement of a suite's cells, the oldest first, superseded ones too. `known`: cells that were read before, by key."""
        return ledger_points.read(self._read, suite, known or {})

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
        results = (cell_result(parsed(text)) for (text,) in self._read("SELECT result FROM cells WHERE suite = ?", (suite,)))
        return {result.key: result for result in results}

    def last_stage(self, suite: str, key: str) -> str:
        """Key of the last stage of a recorded cell, which has its predictions. LedgerError where the cell is not recorded."""
        if (found := self._read("SELECT last FROM cells WHERE suite = ? AND key = ?", (suite, key)).fetchone()) is None:
            raise LedgerError(f"{self.store} has no cell {key} of '{suite}'.")
        return str(found[0])

    def suites(self) -> list[str]:
        """The suites that have recorded cells."""
        return [name for (name,) in self._read("SELECT DISTINCT suite FROM cells ORDER BY suite")]

    def copy_cell(self, other: Ledger, suite: str, key: str) -> None:
        """Take over a cell's result from another store, as one that is new here."""
        query = "SELECT last, scoring, status, reason, result FROM cells WHERE suite = ? AND key = ?"
        (values,) = other._read(query, (suite, key)).fetchall()
        with self._transaction():
            self._put_cells([(suite, key, *values)])

    def seq(self, suite: str) -> int:
        """A number that rises whenever a cell of the suite is recorded."""
        (found,) = self._read("SELECT COALESCE(MAX(seq), 0) FROM cells WHERE suite = ?", (suite,)).fetchone()
        return int(found)


def now() -> float:
    """Unix seconds."""
    return time.time()
