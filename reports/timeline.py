"""The suite over time: scores, time and memory by measurement, with the points at which their level changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from benchmark.moments import UNITS, Change, Series
from reports import charts
from reports.charts import FAINT, INK, MAX_PANELS, Axis, Chart, Drawing, Panel, capped
from reports.section import Report, Section, Text
from reports.table import Column, Shown, Table, Value

MIN_MOMENTS = 3
"""Fewer are no history."""
VERDICTS = {True: "better", False: "worse", None: "changed"}
TOLD = 6
"""Changes that the description tells."""
WORDS = (
    "A measurement is one round over the seeds at one commit, in the order of time. Changes of level were found by energy statistics and "
    "t-tests; times and memories are compared only within one context."
)


def part(report: Report) -> Section | None:
    """Nothing where no configuration has been measured three times."""
    found = [series for series in report.results.timeline if len(series.moments) >= MIN_MOMENTS]
    if not found:
        return None
    drawing = timeline(found)
    changes = [(series, change) for series in found for change in series.changes]
    lead = f"{len(changes)} changes of level in {len(found)} series." if changes else f"No level changed in {len(found)} series."
    return Section("timeline", "Over time", [Text(WORDS, lead=lead), drawing, table(found)])


def timeline(found: Sequence[Series]) -> Drawing:
    """A panel per series, those with changes first: a point per measurement, a line per level."""
    order = sorted(found, key=lambda series: not series.changes)
    shown = order[:MAX_PANELS]
    caption = "Point: mean over the seeds; line: level between two changes." + capped("series", len(shown), len(found))
    return Drawing("timeline", "Over time", _told(order), caption, Chart(tuple(_panel(series) for series in shown), 2.7, 1.5))


def _panel(series: Series) -> Panel:
    numbers = tuple(float(at) for at in range(1, len(series.moments) + 1))
    texts = tuple(f"{_date(moment.at)} {short(moment.commit)}: {moment.value:.4g}, {moment.num} seeds" for moment in series.moments)
    points = charts.Series("points", numbers, tuple(series.values), FAINT, texts=texts)
    unit = UNITS.get(series.metric)
    heading = f"{series.metric} [{unit}]" if unit else series.metric
    return Panel(f"{series.metric} of {series.label}", Axis("measurement", integers=True), Axis(heading), (points, *_levels(series)))


def _levels(series: Series) -> list[charts.Series]:
    """A line per level; of a drift one from end to end."""
    last = float(len(series.moments))
    if series.changes and series.changes[0].kind == "drift":
        (drift,) = series.changes
        return [charts.Series("line", (1.0, last), (drift.before, drift.after), _look(drift), VERDICTS[drift.is_better], marked=False)]
    bounds = [0, *(change.index for change in series.changes), len(series.moments)]
    found = []
    for at, (low, high) in enumerate(zip(bounds, bounds[1:], strict=False)):
        level = sum(series.values[low:high]) / (high - low)
        change = series.changes[at - 1] if at else None
        look, label = (_look(change), VERDICTS[change.is_better]) if change else (INK, "level")
        found.append(charts.Series("line", (low + 0.75, high + 0.25), (level, level), look, label, marked=False))
    return found


def _look(change: Change) -> int:
    """Green for better, vermilion for worse, blue where there is no direction."""
    return {True: 2, False: 1, None: 0}[change.is_better]


def _told(found: Sequence[Series]) -> str:
    texts = [f"{series.label}, {series.metric}: {words(series, change)}" for series in found for change in series.changes]
    rest = f"; {len(texts) - TOLD} more" if len(texts) > TOLD else ""
    return ("Changes: " + "; ".join(texts[:TOLD]) + rest if texts else f"No change of level in {len(found)} series") + "."


def words(series: Series, change: Change) -> str:
    """`worse at 17da3f5 on 2026-11-03, 0.913 to 0.892`."""
    moment = series.moments[change.index]
    drift = "drifting " if change.kind == "drift" else ""
    return f"{drift}{VERDICTS[change.is_better]} at {short(moment.commit)} on {_date(moment.at)}, {change.before:.4g} to {change.after:.4g}"


def table(found: Sequence[Series]) -> Table:
    """The changes as they are read; every measurement in the CSV file."""
    columns = ("configuration", "metric", "measurements", "first", "last", "changes")
    tidy = ("configuration", "metric", "context", "at", "commit", "value", "seeds", "change")
    return Table(
        "timeline",
        "Every series with its changes of level.",
        tuple(Column(name, numeric=name in columns[2:5], prose=name == "changes") for name in columns),
        tuple(_row(series) for series in found),
        tuple(Column(name) for name in tidy),
        tuple(row for series in found for row in _tidy(series)),
    )


def _row(series: Series) -> tuple[Shown, ...]:
    first, last = series.values[0], series.values[-1]
    changes = "; ".join(words(series, change) for change in series.changes) or "none"
    name = f"{series.label} ({series.where})" if series.where else series.label
    numbers = (Shown(f"{first:.4g}", first), Shown(f"{last:.4g}", last))
    return (Shown(name), Shown(series.metric), Shown(str(len(series.moments)), len(series.moments)), *numbers, Shown(changes))


def _tidy(series: Series) -> list[tuple[Value, ...]]:
    changed = {change.index: VERDICTS[change.is_better] for change in series.changes}
    return [
        (series.label, series.metric, series.where, datetime.fromtimestamp(moment.at, UTC).isoformat(), moment.commit, moment.value,
         moment.num, changed.get(index, ""))
        for index, moment in enumerate(series.moments)
    ]  # fmt: skip


def short(commit: str) -> str:
    """Seven digits of a commit; `+` where the tree had changes."""
    return commit[:7] + ("+" if commit.endswith("+dirty") else "") if commit else "unknown"


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
