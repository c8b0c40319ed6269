"""The figures that compare methods: the metric, the paired differences, the training curves; and all figures of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.records import CellResult, SuiteResults
from benchmark.summary import Mean, Summary, paired_difference, shown_difference, shown_mean, values_by_seed
from reports.class_figures import class_counts, confusion, per_class
from reports.drawing import FAINT, INK, MAX_PANELS, PALETTE, Drawing, capped, color, cut, dash, grid, legend_below


def build_figures(results: SuiteResults, summary: Summary) -> list[Drawing]:
    """Every figure that the results have something for. Call within `drawing.style()`."""
    if not summary.coverage.ok:
        return []
    made: list[Drawing | None] = [class_counts(summary), confusion(summary), curves(summary)]
    if results.metrics:
        main = results.metrics[0].name
        made = [scores(summary, main), differences(summary, main), *made]
    made += [per_class(summary, name) for name in results.show_per_class]
    return [drawing for drawing in made if drawing is not None]


def scores(summary: Summary, metric: str) -> Drawing | None:
    """Mean and interval by method, one panel per condition."""
    found = {name: [e for e in rows.values() if e.scores[metric].mean.num] for name, rows in summary.entries.items()}
    found = {name: entries for name, entries in found.items() if entries}
    if not found:
        return None
    shown = dict(list(found.items())[:MAX_PANELS])
    panels = grid(len(shown), width=3.0, height=0.55 + 0.26 * len(summary.rows))
    for index, (axes, (name, entries)) in enumerate(zip(panels.panels, shown.items(), strict=True)):
        for entry in entries:
            seeds = [value for value in values_by_seed(entry.cells, metric).values() if np.isfinite(value)]
            axes.plot(seeds, [summary.rows.index(entry.row)] * len(seeds), "o", markersize=2.5, color=FAINT, alpha=0.6, linewidth=0)
            _interval(axes, summary.rows.index(entry.row), entry.scores[metric].mean, best=entry.scores[metric].standing == "best")
        _rows_axis(axes, summary.rows, name, metric, named=panels.is_left(index))
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{e.row} {shown_mean(e.scores[metric].mean)}" for e in entries) for name, entries in shown.items()
    )
    caption = "Dot: mean over seeds; bar: 95 % t interval; small grey dots: single seeds; orange square: best mean."
    return Drawing("metric", f"{metric} by method", alt, caption + capped("conditions", len(shown), len(found)), panels.figure)


def differences(summary: Summary, metric: str) -> Drawing | None:
    """Paired differences to the baseline with a zero line."""
    found = {n: [e for e in rows.values() if (d := e.scores[metric].difference) and d.num] for n, rows in summary.entries.items()}
    found = {name: entries for name, entries in found.items() if entries}
    if not found or summary.baseline is None:
        return None
    shown = dict(list(found.items())[:MAX_PANELS])
    rows = [row for row in summary.rows if row != summary.baseline]
    panels = grid(len(shown), width=3.0, height=0.55 + 0.26 * len(rows))
    for index, (axes, (name, entries)) in enumerate(zip(panels.panels, shown.items(), strict=True)):
        axes.axvline(0, color=INK, linewidth=1)
        baseline = values_by_seed(summary.entries[name][summary.baseline].cells, metric)
        for entry in entries:
            own = values_by_seed(entry.cells, metric)
            pairs = [paired_difference({seed: own[seed]}, baseline).mean for seed in sorted(own.keys() & baseline.keys())]
            axes.plot(pairs, [rows.index(entry.row)] * len(pairs), "o", markersize=2.5, color=FAINT, alpha=0.6, linewidth=0)
            change = entry.scores[metric].difference
            assert change is not None
            _interval(axes, rows.index(entry.row), change, best=False)
        _rows_axis(axes, rows, name, f"Δ {metric} to {summary.baseline}", named=panels.is_left(index))
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{e.row} {shown_difference(e.scores[metric].difference)}" for e in entries)
        for name, entries in shown.items()
    )
    caption = "Dot: mean of the paired differences; bar: 95 % t interval; small grey dots: single seeds. "
    caption += "Where a bar crosses 0 the two are not told apart."
    title = f"Δ {metric} to {summary.baseline}"
    return Drawing("differences", title, alt, caption + capped("conditions", len(shown), len(found)), panels.figure)


def _interval(axes: Axes, place: int, mean: Mean, *, best: bool) -> None:
    width = mean.half_width if mean.num > 1 else 0.0
    shape, tint = ("s", PALETTE[1]) if best else ("o", PALETTE[0])
    axes.errorbar(mean.mean, place, xerr=width, fmt=shape, color=tint, markersize=5, capsize=3, linewidth=1.6)


def _rows_axis(axes: Axes, rows: Sequence[str], title: str, label: str, *, named: bool) -> None:
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [cut(row, limit=28) for row in rows] if named else [""] * len(rows))
    axes.set_title(cut(title), loc="left")
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def curves(summary: Summary) -> Drawing | None:
    """Training loss by iteration, mean over seeds, methods that share their training on one line."""
    found: dict[str, dict[tuple[tuple[float, float], ...], list[str]]] = {}
    for name, rows in summary.entries.items():
        lines: dict[tuple[tuple[float, float], ...], list[str]] = defaultdict(list)
        for row, entry in rows.items():
            lines[mean_curve(entry.cells)].append(row)
        lines.pop((), None)
        found |= {name: lines} if lines else {}
    if not found:
        return None
    shown = dict(list(found.items())[:MAX_PANELS])
    panels = grid(len(shown), width=3.2, height=2.2)
    for index, (axes, (name, lines)) in enumerate(zip(panels.panels, shown.items(), strict=True)):
        for points, names in lines.items():
            at = summary.rows.index(names[0])
            axes.plot(*np.array(points).T, dash(at), color=color(at), label=cut(", ".join(names), limit=44), linewidth=1.4)
        axes.set_title(cut(name), loc="left")
        axes.set_xlabel("iteration")
        axes.set_ylabel("training loss" if panels.is_left(index) else "")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    legend_below(panels.figure, num_columns=3)
    ends = ((names[0], name, points[-1][1]) for name, lines in shown.items() for points, names in lines.items())
    alt = "Last training loss: " + ", ".join(f"{row} under {name} {loss:.3g}" for row, name, loss in ends) + "."
    caption = (
        "Mean over seeds; methods that share a trained network share a line. Losses of methods with their own loss are not comparable."
    )
    return Drawing("training_curves", "Training curves", alt, caption + capped("conditions", len(shown), len(found)), panels.figure)


def mean_curve(cells: Sequence[CellResult]) -> tuple[tuple[float, float], ...]:
    """(iteration, mean loss) at the iterations that every finished cell with a curve has."""
    own = [dict(cell.curve) for cell in cells if cell.curve and cell.status == "ok"]
    if not own:
        return ()
    common = sorted(set.intersection(*(set(curve) for curve in own)))
    return tuple((at, float(np.mean([curve[at] for curve in own]))) for at in common)
