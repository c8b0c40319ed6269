"""One row a cell: how it ended, its headline metrics, its profile. And the suite as it was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.labels import label
from benchmark.records import CellResult, SuiteResults
from reports.comparison import WHERE
from reports.cost import raw_column
from reports.section import Code, Fold, Report, Section
from reports.table import Column, Shown, Table, number

MAX_SHOWN = 1000
"""Rows that are prepared for reading; the CSV file holds all."""


def part(report: Report) -> Section:
    """Every planned cell, folded."""
    return Section("cells", "Cells", [Fold(f"All {report.summary.coverage.planned} planned cells", [cells(report.results)])])


def suite_part(report: Report) -> Section | None:
    """The suite's own text, folded."""
    text = report.results.suite_text
    return Section("suite", "Suite", [Fold("The suite as it was given", [Code(text)])]) if text else None


def cells(results: SuiteResults) -> Table:
    """One row a cell: how it ended, its headline metrics, its profile."""
    labels = label(results.cells)
    metrics = _keys(cell.metrics for cell in results.cells)
    profile = tuple(dict.fromkeys(key for cell in results.cells for key in cell.profile))
    fixed = (Column("cell"), *WHERE, Column("seed", numeric=True), Column("status"), Column("reason"))
    names = [info.name for info in results.metrics]
    where = [(labels.condition[cell.config_key], labels.row[cell.config_key]) for cell in results.cells]
    pairs = list(zip(results.cells, where, strict=True))
    tidy = [
        (c.key, *at, c.seed, c.status, c.reason, *(c.metrics.get(k) for k in metrics), *(c.profile.get(k) for k in profile))
        for c, at in pairs
    ]
    return Table(
        name="cells",
        caption="Every planned cell.",
        columns=(*fixed, *(Column(name, numeric=True) for name in names)),
        rows=tuple((*_shown_cell(c, at), *(number(c.metrics.get(name), 4) for name in names)) for c, at in pairs[:MAX_SHOWN]),
        total=len(pairs),
        tidy_columns=(*fixed, *(Column(key, numeric=True) for key in metrics), *map(raw_column, profile)),
        tidy_rows=tuple(tidy),
    )


def _shown_cell(cell: CellResult, where: Sequence[str]) -> tuple[Shown, ...]:
    return (Shown(cell.key[:8]), *map(Shown, where), Shown(str(cell.seed), cell.seed), Shown(cell.status), Shown(cell.reason))


def _keys(found: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for keys in found for key in keys if "/" not in key))
