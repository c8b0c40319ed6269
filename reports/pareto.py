"""Quality against cost: what a better score costs in seconds and in memory, of configurations that were measured alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.summary import Entry, Mean, Summary, shown_mean
from reports.charts import INK, Axis, Chart, Drawing, Panel, Series, capped, cut, drawn
from reports.cost import uncontended
from reports.section import Block, Report, Section, Text

COSTS = {
    "seconds": ("training", "s"),
    "peak_device_mib": ("peak device memory", "MiB"),
    "peak_host_mib": ("peak host memory", "MiB"),
}
FEWEST = 2


@dataclass(frozen=True)
class Point:
    """A method under one condition."""

    row: str
    cost: float
    score: Mean


def part(report: Report) -> Section | None:
    """One figure for seconds, one for memory (the device's where it was measured)."""
    if not report.measured or report.main is None:
        return None
    has_device = bool(points(report.summary, report.main.name, "peak_device_mib"))
    wanted = ("seconds", "peak_device_mib" if has_device else "peak_host_mib")
    better = report.main.higher_is_better
    made = [figure(report.summary, report.main.name, cost, higher_is_better=better) for cost in wanted]
    blocks: list[Block] = [drawing for drawing in made if drawing is not None]
    if not blocks:
        text = "No two methods have been measured alone under one condition, so nothing stands against a cost yet. To measure: "
        blocks = [Text(text, code="skewbench run SUITE --profile", kind="note")]
    return Section("quality", "Quality against cost", blocks, "Quality and cost")


def points(summary: Summary, metric: str, cost: str) -> dict[str, list[Point]]:
    """By condition, where two methods at least have a score and a cost that was measured alone on a machine left alone."""
    found = {name: [p for e in rows.values() if (p := _point(e, metric, cost))] for name, rows in summary.entries.items()}
    return {name: each for name, each in found.items() if len(each) >= FEWEST}


def _point(entry: Entry, metric: str, cost: str) -> Point | None:
    solo, mean = uncontended(entry), entry.scores[metric].mean
    return Point(entry.row, solo[cost], mean) if cost in solo and mean.num else None


def front(found: Sequence[Point], *, higher_is_better: bool) -> list[Point]:
    """The points that no other one beats in both: cheapest first."""
    sign = 1 if higher_is_better else -1
    kept: list[Point] = []
    for point in sorted(found, key=lambda each: (each.cost, -sign * each.score.mean)):
        if not kept or sign * point.score.mean > sign * kept[-1].score.mean:
            kept.append(point)
    return kept


def figure(summary: Summary, metric: str, cost: str, *, higher_is_better: bool) -> Drawing | None:
    """Score over cost, one panel per condition, with the front of the methods that no other one beats in both."""
    found = points(summary, metric, cost)
    if not found:
        return None
    what, unit = COSTS[cost]
    shown = {name: found[name] for name in drawn(list(found))}
    fronts = {name: front(each, higher_is_better=higher_is_better) for name, each in shown.items()}
    axes = (Axis(f"{what} [{unit}]", log=_is_wide(shown)), Axis(metric))
    panels = tuple(Panel(name, *axes, _series(each, fronts[name], summary.rows)) for name, each in shown.items())
    alt = "; ".join(f"{name}: not beaten {', '.join(_told(p, unit) for p in each)}" for name, each in fronts.items())
    caption = (
        "Line: methods that no other one beats in both. Bars: 95 % intervals over seeds. Costs are those of the method measured alone; "
    )
    caption += "contended measurements are left out."
    title = f"{metric} against {what}"
    name = f"pareto_{cost}"
    return Drawing(name, title, alt, caption + capped("conditions", len(shown), len(found)), Chart(panels, 2.7, 2.0))


def _told(point: Point, unit: str) -> str:
    return f"{point.row} {shown_mean(point.score)} at {point.cost:.4g} {unit}"


def _is_wide(found: dict[str, list[Point]]) -> bool:
    costs = [point.cost for each in found.values() for point in each if point.cost > 0]
    return bool(costs) and max(costs) > 8 * min(costs)


def _series(found: Sequence[Point], best: Sequence[Point], rows: Sequence[str]) -> tuple[Series, ...]:
    line = Series("line", tuple(p.cost for p in best), tuple(p.score.mean for p in best), INK, "not beaten in both", marked=False)
    dots = [
        Series(
            "points", (p.cost,), (p.score.mean,), rows.index(p.row), cut(p.row, limit=44), y_error=(p.score.half_width,),
            texts=(f"{p.row}: {shown_mean(p.score)} at {p.cost:.4g}",),
        )
        for p in found
    ]  # fmt: skip
    return (line, *dots)
