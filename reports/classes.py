"""What happens inside the classes: counts before and after sampling, bars per class, confusion matrices; minority classes are marked."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.records import CellResult
from benchmark.summary import Entry, Summary
from reports.charts import FAINT, Axis, Chart, Drawing, Panel, Series, capped, cut, drawn
from reports.comparison import MEAN, WHERE, mean_values, where_of
from reports.section import Report, Section, Text
from reports.table import Column, Table, number

MAX_CONFUSIONS = 12
MAX_WIDE = 24
"""Bars from which on a panel takes the whole width."""
MARK = "▾"
"""Stands behind the name of a minority class."""
MARKED = f" {MARK}: a minority class (fewer training images than the geometric mean of the largest and the smallest class)."


def counts_part(report: Report) -> Section | None:
    """Images per class."""
    if not report.measured:
        return None
    drawing = class_counts(report.summary)
    return Section("counts", "Class counts", [drawing or Text("No class counts were kept.")])


def per_class_part(report: Report) -> Section | None:
    """Bars and means per class, where the suite asks for a metric per class."""
    if not report.measured or not report.results.show_per_class:
        return None
    made = [per_class(report.summary, name) for name in report.results.show_per_class]
    return Section("per-class", "Per class", [*(drawing for drawing in made if drawing), per_class_table(report)])


def confusion_part(report: Report) -> Section | None:
    """Confusion matrices."""
    if not report.measured:
        return None
    drawing = confusion(report.summary)
    return Section("confusion", "Confusion matrices", [drawing or Text("No confusion matrices were kept.")], "Confusion")


def minority(counts: Sequence[int]) -> tuple[bool, ...]:
    """Which classes are rare: below the geometric mean of the largest and the smallest count. None where all are equal."""
    if not counts or min(counts) == max(counts):
        return (False,) * len(counts)
    bound = math.sqrt(max(1, min(counts)) * max(counts))
    return tuple(count < bound for count in counts)


def class_labels(cells: Sequence[CellResult]) -> tuple[str, ...]:
    """The names of classes, minority classes marked where they are the same at every seed."""
    names = next((cell.class_names for cell in cells if cell.class_names), ())
    found = {minority(cell.class_counts) for cell in cells if len(cell.class_counts) == len(names)}
    rare = found.pop() if len(found) == 1 else (False,) * len(names)
    return tuple(f"{cut_name(name)} {MARK}" if is_rare else cut_name(name) for name, is_rare in zip(names, rare, strict=True))


def cut_name(name: str) -> str:
    """A class's name, short enough for an axis."""
    return name if len(name) <= 12 else f"{name[:11]}…"


def class_counts(summary: Summary) -> Drawing | None:
    """Images per class before and after sampling, one panel per data set and imbalance."""
    found: dict[str, dict[str, CellResult]] = defaultdict(dict)
    for entry in summary.all_entries():
        first = min((cell for cell in entry.cells if cell.class_counts), key=lambda cell: cell.seed, default=None)
        if first is not None:
            found[summary.data[entry.condition]].setdefault(entry.row, first)
    if not found:
        return None
    shown = {name: found[name] for name in drawn(list(found))}
    panels = tuple(_counts_panel(name, cells, summary.rows) for name, cells in shown.items())
    alt = "; ".join(f"{name}: {', '.join(map(str, next(iter(cells.values())).class_counts))} images" for name, cells in shown.items())
    caption = (
        "Bars: training images per class after the imbalance, at the lowest seed. Marks: after the sampling of the methods that change it."
    )
    caption += MARKED if any(MARK in name for panel in panels for name in panel.x.names) else ""
    chart = Chart(panels, 2.7, 1.7)
    return Drawing("class_counts", "Class counts", alt, caption + capped("imbalances", len(shown), len(found)), chart)


def _counts_panel(title: str, cells: Mapping[str, CellResult], rows: Sequence[str]) -> Panel:
    first = next(iter(cells.values()))
    places = tuple(map(float, range(len(first.class_counts))))
    series = [Series("bars", places, tuple(map(float, first.class_counts)), FAINT, "before sampling")]
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for row, cell in cells.items():
        if cell.sampled_counts and cell.sampled_counts != cell.class_counts:
            groups[cell.sampled_counts].append(row)
    for counts, names in groups.items():
        text = f"after {', '.join(names[:2])}" + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        series.append(Series("points", places, tuple(map(float, counts)), rows.index(names[0]), cut(text, limit=44)))
    labels = class_labels([first]) or tuple(map(str, range(len(first.class_counts))))
    return Panel(title, Axis(names=labels), Axis("images", from_zero=True), tuple(series))


def confusion(summary: Summary) -> Drawing | None:
    """Row-normalised confusion matrices, mean over seeds, one small panel per method and condition."""
    with_any = [entry for entry in summary.all_entries() if any(cell.confusion_KK for cell in entry.cells)]
    found = [(entry, mean_confusion(entry.cells)) for entry in _matrices(with_any)]
    shown = [(entry, matrix) for entry, matrix in found if matrix is not None]
    if not shown:
        return None
    alone = len(summary.conditions) == 1
    panels = tuple(_confusion_panel(entry, matrix, alone=alone) for entry, matrix in shown)
    recalls = ", ".join(f"{e.row} under {e.condition} {_diagonal(matrix)}" for e, matrix in shown)
    caption = "Rows: true classes, each divided by its sum; columns: predicted ones; mean over seeds. Grey: a class without test images."
    caption += MARKED if any(MARK in name for panel in panels for name in panel.y.names) else ""
    alt = f"Confusion matrices. Lowest and highest share on the diagonal: {recalls}."
    chart = Chart(panels, 1.45, 1.45, columns=max(2, min(5, len(summary.rows))), scale="share of the true class")
    return Drawing("confusion", "Confusion matrices", alt, caption + _capped_matrices(len(shown), len(with_any)), chart)


def _matrices(entries: Sequence[Entry]) -> list[Entry]:
    """All methods of as many conditions, evenly spread, as there is room for."""
    if len(entries) <= 2 * MAX_CONFUSIONS:
        return list(entries)
    names = list(dict.fromkeys(entry.condition for entry in entries))
    room = max(1, MAX_CONFUSIONS * len(names) // len(entries))
    kept = {names[round(at * (len(names) - 1) / max(1, room - 1))] for at in range(room)}
    return [entry for entry in entries if entry.condition in kept][:MAX_CONFUSIONS]


def _capped_matrices(shown: int, total: int) -> str:
    return f" Drawn: {shown} of {total} matrices." if shown < total else ""


def _confusion_panel(entry: Entry, matrix: NDArray[np.float64], *, alone: bool) -> Panel:
    names = class_labels(entry.cells)
    title = cut(entry.row, limit=26) if alone else f"{cut(entry.row, limit=26)}\n{cut(entry.condition, limit=26)}"
    return Panel(title, Axis("predicted", names=names), Axis("true", names=names), heat=tuple(map(tuple, matrix.tolist())))


def mean_confusion(cells: Sequence[CellResult]) -> NDArray[np.float64] | None:
    """Mean of the row-normalised matrices [K, K] of the finished cells; rows without images are NaN. None without any matrix."""
    counts = [np.array(cell.confusion_KK, dtype=np.float64) for cell in cells if cell.confusion_KK and cell.status == "ok"]
    if not counts:
        return None
    totals = [matrix.sum(axis=1, keepdims=True) for matrix in counts]
    shares = [np.divide(m, t, out=np.full_like(m, np.nan), where=t > 0) for m, t in zip(counts, totals, strict=True)]
    known = np.isfinite(shares).sum(axis=0)
    total: NDArray[np.float64] = np.nansum(shares, axis=0)
    mean: NDArray[np.float64] = np.divide(total, known, out=np.full_like(total, np.nan), where=known > 0)
    return mean


def _diagonal(matrix: NDArray[np.float64]) -> str:
    own = np.diag(matrix)[np.isfinite(np.diag(matrix))]
    return f"{own.min():.2f} to {own.max():.2f}" if len(own) else "none"


def per_class(summary: Summary, metric: str) -> Drawing | None:
    """Bars per class and method, one panel per condition."""
    found = {name: [e for e in rows.values() if _class_keys(e, metric)] for name, rows in summary.entries.items()}
    found = {name: entries for name, entries in found.items() if entries}
    if not found:
        return None
    shown = {name: found[name] for name in drawn(list(found))}
    classes = max(len(_class_keys(entries[0], metric)) for entries in shown.values())
    wide = classes * len(summary.rows) > MAX_WIDE
    panels = tuple(_class_panel(name, entries, summary.rows, metric) for name, entries in shown.items())
    alt = f"{metric} per class and method; the numbers are in the table per class."
    caption = "Mean over seeds." + (MARKED if any(MARK in name for panel in panels for name in panel.x.names) else "")
    name = re.sub(r"[^A-Za-z0-9]+", "_", metric)
    chart = Chart(panels, 8.2 if wide else 3.7, 1.7, columns=1 if wide else 2)
    title = f"{metric} per class"
    return Drawing(f"per_class_{name}", title, alt, caption + capped("conditions", len(shown), len(found)), chart)


def _class_panel(name: str, entries: Sequence[Entry], rows: Sequence[str], metric: str) -> Panel:
    keys = _class_keys(entries[0], metric)
    cells = entries[0].cells
    known = dict(zip(next((cell.class_names for cell in cells if cell.class_names), ()), class_labels(cells), strict=True))
    series = [
        Series(
            "bars", tuple(map(float, range(len(keys)))), tuple(e.parts[k].mean if k in e.parts else math.nan for k in keys),
            rows.index(e.row), cut(e.row, limit=44),
        )
        for e in entries
    ]  # fmt: skip
    parts = [key.partition("/")[2] for key in keys]
    return Panel(name, Axis(names=tuple(known.get(part) or cut_name(part) for part in parts)), Axis(metric, from_zero=True), tuple(series))


def _class_keys(entry: Entry, metric: str) -> list[str]:
    """The keys of the metric's classes in label order, or of its parts where it has no classes; those measured only."""
    names = next((cell.class_names for cell in entry.cells if cell.class_names), ())
    ordered = [f"{metric}/{name}" for name in names]
    rest = [key for key in entry.parts if key.startswith(f"{metric}/") and key not in ordered]
    return [key for key in [*ordered, *rest] if key in entry.parts and entry.parts[key].num]


def per_class_table(report: Report) -> Table:
    """Means of each class and part: every metric in the CSV, those that the suite asks for on the page."""
    entries = report.summary.all_entries()
    wanted = report.results.show_per_class
    keys = tuple(dict.fromkeys(key for entry in entries for key in entry.parts if key.partition("/")[0] in wanted))
    tidy = ((entry, *key.partition("/")[::2], mean) for entry in entries for key, mean in entry.parts.items())
    measured = [entry for entry in entries if entry.parts] if keys else []
    return Table(
        name="per_class",
        caption="Means over seeds per class or part; deviations and intervals are in the CSV file.",
        columns=(*WHERE, *(Column(key.replace("/", " · ", 1), numeric=True) for key in keys)),
        rows=tuple((*where_of(e), *(number(e.parts[k].mean if k in e.parts else None) for k in keys)) for e in measured),
        tidy_columns=(*WHERE, Column("metric"), Column("part"), *MEAN),
        tidy_rows=tuple((e.condition, e.row, metric, part, *mean_values(mean)) for e, metric, part, mean in tidy),
    )
