"""How training went: the loss by iteration, and what the network got right meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.records import CellResult
from benchmark.summary import Entry, Summary
from reports.charts import Axis, Chart, Drawing, Panel, Series, capped, cut, drawn
from reports.convergence import convergence
from reports.section import Report, Section, Text

Curve = tuple[tuple[float, float], ...]


def part(report: Report) -> Section | None:
    """Training loss, and accuracy while training where the recipe monitors it."""
    if not report.measured:
        return None
    made = [drawing for drawing in (curves(report.summary), convergence(report.summary)) if drawing]
    return Section("curves", "Training curves", made or [Text("No training curves were kept.")], "Training")


def curves(summary: Summary) -> Drawing | None:
    """Training loss by iteration, mean over seeds, methods that share their training on one line."""
    curved = [name for name, rows in summary.entries.items() if any(cell.curve for entry in rows.values() for cell in entry.cells)]
    shown = {name: lines for name in drawn(curved) if (lines := _lines(summary.entries[name]))}
    if not shown:
        return None
    panels = [
        Panel(name, Axis("iteration", integers=True), Axis("training loss"), tuple(_line(p, n, summary.rows) for p, n in lines.items()))
        for name, lines in shown.items()
    ]
    ends = ((names[0], name, points[-1][1]) for name, lines in shown.items() for points, names in lines.items())
    alt = "Last training loss: " + ", ".join(f"{row} under {name} {loss:.3g}" for row, name, loss in ends) + "."
    caption = (
        "Mean over seeds; methods that share a trained network share a line. Losses of methods with their own loss are not comparable."
    )
    chart = Chart(tuple(panels), 2.7, 1.7)
    return Drawing("training_curves", "Training curves", alt, caption + capped("conditions", len(shown), len(curved)), chart)


def _lines(rows: Mapping[str, Entry]) -> dict[Curve, list[str]]:
    found: dict[Curve, list[str]] = defaultdict(list)
    for row, entry in rows.items():
        found[mean_curve(entry.cells)].append(row)
    found.pop((), None)
    return found


def _line(points: Curve, names: Sequence[str], rows: Sequence[str]) -> Series:
    at, losses = zip(*points, strict=True)
    return Series("line", at, losses, rows.index(names[0]), cut(", ".join(names), limit=44), marked=False)


def mean_curve(cells: Sequence[CellResult]) -> Curve:
    """(iteration, mean loss) at the iterations that every finished cell with a curve has."""
    own = [dict(cell.curve) for cell in cells if cell.curve and cell.status == "ok"]
    if not own:
        return ()
    common = sorted(set.intersection(*(set(curve) for curve in own)))
    return tuple((at, float(np.mean([curve[at] for curve in own]))) for at in common)
