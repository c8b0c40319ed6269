"""How a store stands, at a glance: what was asked for and how far it is, who is at it now. Needs no suite file and no data."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.ledger import Ledger, now
from benchmark.owners import alive, ourselves
from benchmark.plan import Plan
from benchmark.records import CellResult
from benchmark.results import SOLO
from benchmark.studies import CELLS

MEANT, AT_WORK = "meant", "at-work"
"""Kinds of notes in the ledger, by suite: the cells that its last `run` was asked for; the processes that run it."""
_SHORT = 12
"""Digits of a key that are enough to tell the stages and cells of a store apart."""


@dataclass(frozen=True)
class Worker:
    """A `run` that is going on."""

    host: str
    pid: int
    since: float
    """Unix seconds."""
    command: str
    stages: int
    """How many stages it is computing now."""


@dataclass(frozen=True)
class SuiteStatus:
    """The cells of one suite, as the last `run` meant them; of a store that knows no run (merged, or older) what is recorded."""

    suite: str
    command: str
    done: int
    failed: int
    blocked: int
    """Their base failed."""
    running: int
    """A stage of theirs is being computed."""
    todo: int | None
    """None where no run is known."""
    skipped: int
    earlier: int
    """Recorded results that are not among those meant: of other choices of cells, or of earlier code."""
    workers: tuple[Worker, ...]


def announce(ledger: Ledger, plan: Plan, command: str) -> None:
    """Note which cells a run is asked for, and that this process is at it. `command`: fit to be shown."""
    cells = {planned.work.key: [stage.key for stage in planned.work.last.chain] for planned in plan.cells if planned.work}
    short = {key[:_SHORT]: [stage[:_SHORT] for stage in stages] for key, stages in cells.items()}
    ledger.note(MEANT, plan.suite, {"command": command, "cells": short, "skipped": plan.counts["skipped"]})
    host, pid, born = ourselves()
    others = [each for each in ledger.notes(AT_WORK).get(plan.suite, ()) if _lives(each)]
    ours = {"host": host, "pid": pid, "born": born, "since": now(), "command": command}
    ledger.note(AT_WORK, plan.suite, [*others, ours])


def statuses(ledger: Ledger) -> list[SuiteStatus]:
    """Every suite that was run or recorded here. What a tuning compared is none: it has no runs of cells in the tracker to wait for."""
    meant, at_work, claims = ledger.notes(MEANT), ledger.notes(AT_WORK), ledger.claims()
    names = sorted(name for name in {*meant, *ledger.suites()} if not name.startswith(CELLS))
    return [_status(ledger, name, meant.get(name, {}), at_work.get(name, ()), claims) for name in names]


def current_cells(ledger: Ledger, suite: str) -> list[CellResult]:
    """The recorded results that were meant by the last run; where none is known, the last one of each configuration and seed."""
    meant = ledger.notes(MEANT).get(suite, {}).get("cells")
    recorded = list(ledger.cells(suite).values())
    if meant is None:
        recorded = list({(cell.config_key, cell.seed): cell for cell in sorted(recorded, key=lambda cell: cell.ended)}.values())
    else:
        recorded = [cell for cell in recorded if cell.key[:_SHORT] in meant]
    notes = ledger.notes(SOLO)
    solo = {cell.config_key: notes[cell.key]["figures"] for cell in recorded if cell.key in notes}
    return [dataclasses.replace(cell, solo=solo.get(cell.config_key, {})) for cell in recorded]


_Claims = Sequence[tuple[str, tuple[str, int, float]]]


def _status(ledger: Ledger, suite: str, meant: Mapping[str, Any], at_work: Sequence[Mapping[str, Any]], claims: _Claims) -> SuiteStatus:
    recorded = {key[:_SHORT]: row.status for key, row in ledger.scored(suite).items()}
    cells: Mapping[str, Sequence[str]] | None = meant.get("cells")
    busy = {key[:_SHORT] for key, _ in claims}
    ended = Counter(status for key, status in recorded.items() if cells is None or key in cells)
    left = [stages for key, stages in (cells or {}).items() if key not in recorded]
    running = sum(not busy.isdisjoint(stages) for stages in left)
    return SuiteStatus(
        suite, meant.get("command", ""), ended["ok"], ended["failed"], ended["blocked"], running,
        None if cells is None else len(left) - running,
        meant.get("skipped", 0), 0 if cells is None else sum(key not in cells for key in recorded),
        tuple(_worker(each, claims) for each in at_work if _lives(each)),
    )  # fmt: skip


def _lives(each: Mapping[str, Any]) -> bool:
    return alive(each["host"], each["pid"], each["born"])


def _worker(each: Mapping[str, Any], claims: _Claims) -> Worker:
    stages = sum(holder[:2] == (each["host"], each["pid"]) for _, holder in claims)
    return Worker(each["host"], each["pid"], each["since"], each["command"], stages)
