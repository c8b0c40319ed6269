"""Figures of a study: a metric against the imbalance (Buda et al. 2018, Figs. 3 to 6) and against partial sampling (Fig. 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.records import SuiteResults
from benchmark.summary import Summary, shown_mean
from reports.charts import Axis as Scale
from reports.charts import Chart, Drawing, Level, Series, capped, cut, drawn, values_of
from reports.charts import Panel as Drawn
from reports.section import Report, Section
from reports.study import MINORITY_AXIS, RATIO_AXIS, UNTREATED, Axis, Line, Panel, ladders, panels

MAX_LINES = 14
"""Most methods in one figure."""
TOLD_PANELS = 3
"""Panels whose numbers the description tells; those of the others are in the tables."""
SECOND = "accuracy"
"""The metric that is drawn beside the main one where the suite has it."""
MEANS = "Mean over seeds with its 95 % t interval"
SHIFT = 0.008
"""Of a panel's width: how far the lines stand apart sideways."""


@dataclass(frozen=True)
class Look:
    """The panels to draw and the words on them; `rows` are the methods that are drawn."""

    panels: Sequence[Panel]
    titles: Sequence[str]
    rows: Sequence[str]
    metric: str
    heading: str
    level: str
    log: bool
    share_y: bool


def part(report: Report) -> Section | None:
    """The metric against the strength of the imbalance, and against partial sampling."""
    made = study_figures(report.results, report.summary) if report.measured else []
    return Section("imbalance", "Against the imbalance", made) if made else None


def study_figures(results: SuiteResults, summary: Summary) -> list[Drawing]:
    """Those that the results have something for."""
    names = [info.name for info in results.metrics]
    wanted = names[:1] + [name for name in names[1:] if name == SECOND]
    made = [against(summary, name, axis) for name in wanted for axis in (RATIO_AXIS, MINORITY_AXIS)]
    made += [against_remaining(summary, name) for name in wanted]
    return [drawing for drawing in made if drawing is not None]


def against(summary: Summary, metric: str, axis: Axis) -> Drawing | None:
    """The metric along one axis of the imbalance, one line per method, one panel per value of the other axis."""
    found = panels(summary, metric, axis)
    if not found:
        return None
    shown, rows = drawn(found), _rows(found, summary)
    alike = len({panel.setting for panel in found}) == 1
    titles = [_title(panel, axis, alike=alike) for panel in shown]
    look = Look(shown, titles, rows, metric, axis.heading, f"{UNTREATED}, no imbalance", axis.log, share_y=alike)
    parts = [
        f"{MEANS}{', logarithmic axis' if axis.log else ''}. Lines are shifted sideways a little, so that intervals can be told apart."
    ]
    parts += [" Dashed: the level of the unimbalanced set."] if any(panel.level for panel in shown) else []
    parts += [f" All panels: {found[0].setting}."] if alike else []
    caption = "".join(parts) + capped("panels", len(shown), len(found)) + _capped_rows(rows, found)
    title = f"{metric} against the {axis.heading}"
    return Drawing(_name(f"by_{axis.name}", metric), title, _told(look), caption, _draw(look, summary))


def against_remaining(summary: Summary, metric: str) -> Drawing | None:
    """The metric against the imbalance that sampling leaves, one panel per condition."""
    found = ladders(summary, metric)
    if not found:
        return None
    shown, rows = drawn(found), _rows(found, summary)
    titles = [panel.setting for panel in shown]
    heading = "imbalance ratio left by sampling"
    look = Look(shown, titles, rows, metric, heading, f"{UNTREATED}, no sampling", log=True, share_y=False)
    caption = f"{MEANS}, logarithmic axis; 1: classes balanced completely."
    caption += " Dashed: the same set without sampling." if any(panel.level for panel in shown) else ""
    caption += capped("conditions", len(shown), len(found)) + _capped_rows(rows, found)
    title = f"{metric} under partial sampling"
    return Drawing(_name("partial_sampling", metric), title, _told(look), caption, _draw(look, summary, name=family))


def family(row: str) -> str:
    """The row's name without the remaining ratio, along which its line runs: `ros ratio=1` is `ros`."""
    return re.sub(r" (?:\S+\.)?ratio=\S+", "", row)


def _name(kind: str, metric: str) -> str:
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]+', '_', metric)}"


def _rows(found: Sequence[Panel], summary: Summary) -> list[str]:
    """The methods that are drawn, in the order of the report."""
    present = {row for panel in found for row in panel.lines}
    return [row for row in summary.rows if row in present][:MAX_LINES]


def _capped_rows(rows: Sequence[str], found: Sequence[Panel]) -> str:
    total = len({row for panel in found for row in panel.lines})
    return f" Drawn: the first {len(rows)} of {total} methods; all are in the tables." if len(rows) < total else ""


def _title(panel: Panel, axis: Axis, *, alike: bool) -> str:
    """What tells the panel from the others; the setting that all have in common stands in the caption."""
    fixed = "" if panel.fixed is None else f"{axis.symbol} = {panel.fixed:g}"
    return " · ".join(filter(None, ("" if alike and fixed else panel.setting, fixed)))


def _draw(look: Look, summary: Summary, *, name: Callable[[str], str] = str) -> Chart:
    pairs = zip(look.panels, look.titles, strict=True)
    panels = tuple(_panel(panel, title, look, summary, name) for panel, title in pairs)
    return Chart(panels, 2.6, 1.9, share_y=look.share_y)


def _panel(panel: Panel, title: str, look: Look, summary: Summary, name: Callable[[str], str]) -> Drawn:
    values = tuple(sorted({at for line in panel.lines.values() for at in line}))
    rows = [row for row in look.rows if row in panel.lines]
    series = []
    for place, row in enumerate(rows):
        places = _shifted(tuple(panel.lines[row]), values, (place - (len(rows) - 1) / 2) * SHIFT, log=look.log)
        means, widths = values_of(list(panel.lines[row].values()))
        texts = tuple(f"{at:g}: {shown_mean(mean)}" for at, mean in panel.lines[row].items())
        label = cut(name(row), limit=44)
        series.append(Series("line", places, means, summary.rows.index(row), label, y_error=widths, texts=texts))
    level = Level(look.level, panel.level) if panel.level else None
    return Drawn(title, Scale(look.heading, log=look.log, ticks=values), Scale(look.metric), tuple(series), level)


def _shifted(places: Sequence[float], values: Sequence[float], share: float, *, log: bool) -> tuple[float, ...]:
    """Places moved by a share of the panel's width."""
    first, last = values[0], values[-1]
    return tuple(float(at * (last / first) ** share if log else at + (last - first) * share) for at in places)


def _told(look: Look) -> str:
    """Where every line starts and ends, for the first panels."""
    parts = []
    for panel, title in list(zip(look.panels, look.titles, strict=True))[:TOLD_PANELS]:
        lines = (f"{row} {_ends(panel.lines[row])}" for row in look.rows if row in panel.lines)
        parts.append(f"{title}: {', '.join(lines)}")
    rest = len(look.panels) - TOLD_PANELS
    return "; ".join(parts) + (f"; the numbers of {rest} more panels are in the table of metrics" if rest > 0 else "")


def _ends(line: Line) -> str:
    (first, start), (last, end) = list(line.items())[0], list(line.items())[-1]
    return f"{shown_mean(start)} at {first:g}" + (f" to {shown_mean(end)} at {last:g}" if last != first else "")
