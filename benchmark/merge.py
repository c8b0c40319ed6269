"""Bringing stores together: what shards or other machines have computed, into one store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.arrays import DamagedFile, read_arrays, write_arrays
from benchmark.errors import UserError
from benchmark.ledger import Ledger
from benchmark.rows import StageRow

NOTES = ("profile", "probe")
"""Kinds of notes that another machine's store may contribute."""


@dataclass
class Merged:
    """What a merge did: counts by what happened to stages and cells, and what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def merge(target: Path, sources: Sequence[Path]) -> Merged:
    """Copy stages, cells and notes that the target lacks. Doing it again, or in another order, changes nothing.

    A finished stage replaces a failed one and is never replaced. Files are checked against their checksums; a damaged one is left out
    and named. UserError where a source is no store or is the target.
    """
    for source in sources:
        if not (source / "ledger.sqlite").exists():
            raise UserError(f"{source} is no store: it has no ledger.sqlite.")
        if source.resolve() == target.resolve():
            raise UserError(f"{source} is the store that is merged into: name the others only.")
    done = Merged()
    with Ledger(target) as into:
        for source in sources:
            with Ledger(source, writable=False) as from_:
                _merge_stages(into, from_, done)
                _merge_cells(into, from_, done)
                _merge_history(into, from_, done)
                for kind in NOTES:
                    known = into.notes(kind)
                    for key, document in from_.notes(kind).items():
                        if key not in known:
                            into.note(kind, key, document)
    return done


def _merge_stages(into: Ledger, from_: Ledger, done: Merged) -> None:
    known = into.stages()
    for key in from_.stages():
        row = from_.stage(key)
        assert row is not None
        mine = known.get(key)
        if mine is not None and (mine.file is not None or row.status == "failed" or (row.file is None and mine.status == "ok")):
            done.counts["stages known"] += 1
            _compare(mine, row, from_, done)
            continue
        try:
            if row.file is not None:
                arrays = read_arrays(from_.store, row.file)
                write_arrays(into.store, row.file.path, arrays)
        except DamagedFile as damage:
            done.problems.append(f"{from_.store}: {damage}: left out")
            continue
        into.copy_stage(from_, key)
        done.counts["stages copied"] += 1


def _compare(mine: StageRow, row: StageRow, from_: Ledger, done: Merged) -> None:
    """The same stage with other bits: another kind of machine computed it. The one already there stays."""
    if mine.file is not None and row.file is not None and mine.file.sha256 != row.file.sha256:
        done.counts["stages with other bits, kept as they were"] += 1
        if done.counts["stages with other bits, kept as they were"] == 1:
            done.problems.append(
                f"{from_.store}: {row.op} {row.key} has other bits than the one here: computed on another kind of machine or under another "
                "execution profile (`--exec fixed` repeats); the one here is kept"
            )


def _merge_cells(into: Ledger, from_: Ledger, done: Merged) -> None:
    for suite in from_.suites():
        known = into.scored(suite)
        for key, scored in from_.scored(suite).items():
            if key in known and (known[key].status == "ok" or scored.status != "ok"):
                done.counts["cells known"] += 1
                continue
            into.copy_cell(from_, suite, key)
            done.counts["cells copied"] += 1


def _merge_history(into: Ledger, from_: Ledger, done: Merged) -> None:
    """Every measurement that the target has not, also of cells that it knows: the same cell run again is a point of its own."""
    for suite in from_.suites():
        known = {(point.cell, point.ended) for point in into.points(suite)}
        new = [point for point in from_.points(suite) if (point.cell, point.ended) not in known]
        if new:
            done.counts["points of the history copied"] += into.add_points(new)
