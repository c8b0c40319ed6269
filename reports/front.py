"""What stands first: how the planned cells ended, and why the ones that failed did."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.answer import rests_on
from benchmark.labels import label
from benchmark.records import CellResult
from benchmark.selection import told
from benchmark.summary import Coverage, Summary
from reports.comparison import WHERE
from reports.section import Block, Code, Counts, Fold, Items, Report, Section, Text
from reports.table import Column, Shown, Table, Value

MAX_FAILURES = 200
ENDS = ("planned", "ok", "failed", "skipped", "blocked", "missing")


def part(report: Report) -> Section:
    """Coverage and failures; of a partial suite what it rests on, of a selection how it was made."""
    ended = report.summary.coverage
    blocks: list[Block] = [*_warnings(report), Counts({name: getattr(ended, name) for name in ENDS}, bad=("failed", "blocked"))]
    if ended.reasons:
        blocks.append(Items([Text(f"{count} × {reason}") for reason, count in ended.reasons.items()]))
    blocks += _failures(report.results.cells)
    blocks.append(Fold("Coverage by method and condition", [coverage(report.summary)]))
    return Section("coverage", "Coverage and failures", blocks, "Coverage")


def _warnings(report: Report) -> list[Block]:
    ended, found = report.summary.coverage, []
    if not ended.ok:
        text = f" Nothing has finished of the {ended.planned} planned cells, so there is nothing to compare yet."
        again = " To run the suite: " if report.results.command else ""
        found.append(Text(text + again, "No results.", report.results.command, "warning"))
    elif not ended.complete:
        text = f" This page rests on {rests_on(ended)}. Every number says what it rests on where that is less than was planned."
        found.append(Text(text, "Partial results.", kind="warning"))
    selected = told(report.results)
    return [*found, *([Text(f" {selected}", "Selected.", kind="warning")] if selected else [])]


def _failures(cells: Sequence[CellResult]) -> list[Block]:
    found = [cell for cell in cells if cell.status in ("failed", "blocked")]
    labels = label(cells) if found else None
    blocks: list[Block] = []
    for cell in found[:MAX_FAILURES]:
        assert labels is not None
        name = f"{labels.row[cell.config_key]} under {labels.condition[cell.config_key]}, seed {cell.seed}"
        log: Block = Code(cell.log_tail) if cell.log_tail else Text("No log was kept.", kind="note")
        summary = f" · {name}: {cell.reason or 'no reason given'}"
        blocks.append(Fold(summary, [Text("cell ", code=cell.key, kind="note"), log], lead=cell.status))
    more = len(found) > MAX_FAILURES
    return blocks + ([Text(f"Shown: the first {MAX_FAILURES} of {len(found)}; all are in the table of cells.")] if more else [])


def coverage(summary: Summary) -> Table:
    """How the planned cells of every method and condition ended."""
    columns = (*WHERE, *(Column(name, "cells", numeric=True) for name in ENDS), Column("reasons"))
    tidy: list[tuple[Value, ...]] = [(e.condition, e.row, *_counts(e.coverage), _reasons(e.coverage)) for e in summary.all_entries()]
    return Table(
        name="coverage",
        caption="How the planned cells ended. Skipped: left out by a rule of the suite; blocked: what it builds on failed; "
        "missing: not run yet.",
        columns=columns,
        rows=tuple(tuple(Shown(str(value), value) for value in row) for row in tidy),
        tidy_columns=columns,
        tidy_rows=tuple(tidy),
    )


def _counts(ended: Coverage) -> tuple[int, ...]:
    return ended.planned, ended.ok, ended.failed, ended.skipped, ended.blocked, ended.missing


def _reasons(ended: Coverage) -> str:
    return "; ".join(f"{count} × {reason}" for reason, count in ended.reasons.items())
