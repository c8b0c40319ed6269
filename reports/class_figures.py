"""The figures that look into classes: counts before and after sampling, confusion matrices, bars per class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmark.records import CellResult
from benchmark.summary import Entry, Summary
from reports.drawing import MAX_PANELS, PALETTE, Drawing, capped, color, cut, grid, legend_below, marker, name_classes

MAX_CONFUSIONS = 24


def class_counts(summary: Summary) -> Drawing | None:
    """Images per class before and after sampling, one panel per data set and imbalance."""
    found: dict[str, dict[str, CellResult]] = defaultdict(dict)
    for entry in summary.all_entries():
        first = min((cell for cell in entry.cells if cell.class_counts), key=lambda cell: cell.seed, default=None)
        if first is not None:
            found[summary.data[entry.condition]].setdefault(entry.row, first)
    if not found:
        return None
    shown = dict(list(found.items())[:MAX_PANELS])
    panels = grid(len(shown), width=3.2, height=2.2)
    for axes, (name, cells) in zip(panels.panels, shown.items(), strict=True):
        _counts_panel(axes, cells, summary.rows)
        axes.set_title(cut(name), loc="left")
    legend_below(panels.figure, num_columns=3)
    alt = "; ".join(f"{name}: {', '.join(map(str, next(iter(cells.values())).class_counts))} images" for name, cells in shown.items())
    caption = (
        "Bars: training images per class after the imbalance, at the lowest seed. Marks: after the sampling of the methods that change it."
    )
    return Drawing("class_counts", "Class counts", alt, caption + capped("imbalances", len(shown), len(found)), panels.figure)


def _counts_panel(axes: Axes, cells: Mapping[str, CellResult], rows: Sequence[str]) -> None:
    first = next(iter(cells.values()))
    axes.bar(range(len(first.class_counts)), first.class_counts, color="#b8b8b8", label="before sampling")
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for row, cell in cells.items():
        if cell.sampled_counts and cell.sampled_counts != cell.class_counts:
            groups[cell.sampled_counts].append(row)
    for counts, names in groups.items():
        at = rows.index(names[0])
        text = f"after {', '.join(names[:2])}" + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        axes.plot(range(len(counts)), counts, marker(at), color=color(at), markersize=5, label=cut(text, limit=44), linewidth=0)
    axes.set_ylabel("images")
    axes.set_ylim(bottom=0)
    name_classes(axes, first.class_names or tuple(map(str, range(len(first.class_counts)))))


def confusion(summary: Summary) -> Drawing | None:
    """Row-normalised confusion matrices, mean over seeds, one small panel per method and condition."""
    found = [(entry, matrix) for entry in summary.all_entries() if (matrix := mean_confusion(entry.cells)) is not None]
    if not found:
        return None
    shown = found[:MAX_CONFUSIONS]
    panels = grid(len(shown), width=2.1, height=2.2, num_columns=max(2, min(5, len(summary.rows))))
    image = None
    for axes, (entry, matrix) in zip(panels.panels, shown, strict=True):
        image = axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
        axes.set_facecolor("#e0e0e0")  # shows where a row is NaN
        title = entry.row if len(summary.conditions) == 1 else f"{cut(entry.row, limit=26)}\n{cut(entry.condition, limit=26)}"
        axes.set_title(title, fontsize=7.5)
        axes.tick_params(labelsize=6, length=2)
        name_classes(axes, next(cell.class_names for cell in entry.cells if cell.confusion_KK), both=True)
    assert image is not None
    panels.figure.colorbar(image, ax=list(panels.panels), label="share of the true class", shrink=0.8)
    recalls = ", ".join(f"{e.row} under {e.condition} {_diagonal(matrix)}" for e, matrix in shown)
    caption = "Rows: true classes, each divided by its sum; columns: predicted ones; mean over seeds. Grey: a class without test images."
    alt = f"Confusion matrices. Lowest and highest share on the diagonal: {recalls}."
    return Drawing("confusion", "Confusion matrices", alt, caption + capped("matrices", len(shown), len(found)), panels.figure)


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
    shown = dict(list(found.items())[:MAX_PANELS])
    classes = max(len(_class_keys(entries[0], metric)) for entries in shown.values())
    wide = classes * len(summary.rows) > 24
    panels = grid(len(shown), width=9.0 if wide else 4.2, height=2.3, num_columns=1 if wide else 2)
    for axes, (name, entries) in zip(panels.panels, shown.items(), strict=True):
        keys = _class_keys(entries[0], metric)
        for place, entry in enumerate(entries):
            at, width = summary.rows.index(entry.row), 0.84 / len(entries)
            means = [entry.parts[key].mean if key in entry.parts else np.nan for key in keys]
            left = np.arange(len(keys)) - 0.42 + width * (place + 0.5)
            axes.bar(
                left, means, width * 0.92, color=color(at), label=cut(entry.row, limit=44), hatch=("", "///", "...")[at // len(PALETTE) % 3]
            )
        axes.set_title(cut(name, limit=60), loc="left")
        axes.set_ylabel(metric)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        name_classes(axes, [key.partition("/")[2] for key in keys])
    legend_below(panels.figure, num_columns=4)
    alt = f"{metric} per class and method; the numbers are in the table per class."
    caption = "Mean over seeds." + capped("conditions", len(shown), len(found))
    name = re.sub(r"[^A-Za-z0-9]+", "_", metric)
    return Drawing(f"per_class_{name}", f"{metric} per class", alt, caption, panels.figure)


def _class_keys(entry: Entry, metric: str) -> list[str]:
    """The keys of the metric's classes in label order, or of its parts where it has no classes; those measured only."""
    names = next((cell.class_names for cell in entry.cells if cell.class_names), ())
    ordered = [f"{metric}/{name}" for name in names]
    rest = [key for key in entry.parts if key.startswith(f"{metric}/") and key not in ordered]
    return [key for key in [*ordered, *rest] if key in entry.parts and entry.parts[key].num]
