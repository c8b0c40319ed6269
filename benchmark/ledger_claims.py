"""Claims in a ledger: which stage which process is at. One whose process is gone counts for nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from benchmark.owners import alive, ourselves

Claim = tuple[str, tuple[str, int, float]]
"""A stage's key, and who is at it: host, process number, when that process began."""


def claim(database: sqlite3.Connection, key: str, leads_to: Mapping[str, Sequence[str]]) -> bool:
    """Whether the stage is this process's now. Within a transaction; `leads_to`: see `Ledger.claim`."""
    holder = database.execute("SELECT host, pid, born FROM claims WHERE key = ?", (key,)).fetchone()
    if (holder and alive(*holder)) or not _wanted(database, key, leads_to):
        return False
    database.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, *ourselves()))
    return True


def _wanted(database: sqlite3.Connection, key: str, leads_to: Mapping[str, Sequence[str]]) -> bool:
    """Whether a result is missing, and missed by a stage that rests on it: one that was released need not come back."""
    ended = "SELECT 1 FROM stages WHERE key = ? AND (file IS NOT NULL OR status = 'failed')"
    if database.execute(ended, (key,)).fetchone():
        return False
    children = leads_to.get(key, ())
    return not children or any(_wanted(database, child, leads_to) for child in children)


def unclaim(database: sqlite3.Connection, key: str) -> None:
    """Give a claim of this process back. Within a transaction."""
    host, pid, _ = ourselves()
    database.execute("DELETE FROM claims WHERE key = ? AND host = ? AND pid = ?", (key, host, pid))


def living(ask: Callable[..., sqlite3.Cursor]) -> list[Claim]:
    """The claims of living processes. `ask`: a query."""
    rows = [(key, (host, pid, born)) for key, host, pid, born in ask("SELECT key, host, pid, born FROM claims")]
    return [(key, holder) for key, holder in rows if alive(*holder)]
