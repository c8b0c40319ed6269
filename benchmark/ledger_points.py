"""The history's table in a ledger: measurements that were superseded or made elsewhere. Rows are added and never replaced."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmark.moments import Point
from benchmark.points import point_from, point_of
from benchmark.records import CellResult
from benchmark.rows import cell_result, parsed


def keep_superseded(database: sqlite3.Connection, result: CellResult) -> None:
    """What stands in the cell's place goes to the history, unless it is the same work scored anew. Within a transaction."""
    old = database.execute("SELECT result FROM cells WHERE suite = ? AND key = ?", (result.suite, result.key)).fetchone()
    point = point_of(cell_result(parsed(old[0]))) if old else None
    if point is not None and point.ended != result.ended:
        add(database, [point])


def add(database: sqlite3.Connection, points: Sequence[Point]) -> int:
    """How many were new. Within a transaction."""
    rows = [(point.suite, point.cell, point.ended, json.dumps(point.document)) for point in points]
    before = database.total_changes
    database.executemany("INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?)", rows)
    return database.total_changes - before


def read(ask: Callable[..., sqlite3.Cursor], suite: str, known: Mapping[str, CellResult]) -> list[Point]:
    """The history of a suite, the oldest first: the cells as they stand, of whatever code, and what the table holds. `ask`: a query."""
    found = {(point.cell, point.ended): point for result in _cells(ask, suite, known) if (point := point_of(result))}
    if ask("SELECT 1 FROM sqlite_master WHERE name = 'points'").fetchone():  # a store of before, opened to read, has none
        rows = ask("SELECT point FROM points WHERE suite = ?", (suite,))
        found |= {(point.cell, point.ended): point for (text,) in rows if (point := point_from(parsed(text)))}
    return sorted(found.values(), key=lambda point: (point.ended, point.cell))


def _cells(ask: Callable[..., sqlite3.Cursor], suite: str, known: Mapping[str, CellResult]) -> Iterator[CellResult]:
    if not known:
        yield from (cell_result(parsed(text)) for (text,) in ask("SELECT result FROM cells WHERE suite = ?", (suite,)))
        return
    for (key,) in ask("SELECT key FROM cells WHERE suite = ?", (suite,)).fetchall():
        if key in known:
            yield known[key]
        else:
            yield cell_result(parsed(ask("SELECT result FROM cells WHERE suite = ? AND key = ?", (suite, key)).fetchone()[0]))
