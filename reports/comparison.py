"""Methods compared under each condition: means with intervals, the best, and how far each is from the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.answer import Winner, winners
from benchmark.records import MetricInfo
from benchmark.summary import Entry, Mean, Score, Summary, shown_mean, values_by_seed
from reports.charts import FAINT, MAX_DOTS, Axis, Chart, Drawing, Panel, Series, capped, drawn
from reports.pivot import SYMBOLS, comparison
from reports.section import Block, Heading, Items, Report, Section, Text
from reports.table import Column, Shown, Table, Value

WHERE = (Column("condition"), Column("method"))
MEAN = tuple(Column(name, numeric=True) for name in ("mean", "standard_deviation", "num_seeds", "ci95_low", "ci95_high", "num_undefined"))
MEAN += (Column("interval"),)
INTERVALS = "± is half of the 95 % interval of the mean over seeds (Student's t below 20 seeds, BCa bootstrap from there on), not adjusted"


def part(report: Report) -> Section | None:
    """Every metric by method and condition."""
    if not report.measured:
        return None
    infos = report.results.metrics
    described = [Text(_words_of(info), lead=info.name) for info in infos]
    drawing = scores(report.summary, report.main.name) if report.main else None
    table = comparison(report)
    blocks: list[Block] = [*([Items(described, "note")] if described else []), *([table] if table else []), *([drawing] if drawing else [])]
    return Section("metrics", "Metrics by method", [*blocks, *_winners(report), Heading("All metrics"), main(report)], "Metrics")


def _words_of(info: MetricInfo) -> str:
    direction = "higher" if info.higher_is_better else "lower"
    return f"{': ' + info.summary if info.summary else ''} ({direction} is better)"


def _winners(report: Report) -> list[Block]:
    found = winners(report.results, report.summary)
    if not found or report.main is None:
        return []
    lines = [_winner(winner, report.summary) for winner in found]
    note = Text("The best is chosen after looking at the same seeds, so its lead is on the optimistic side.", kind="note")
    return [Heading(f"Best by {report.main.name}"), Items(lines), note]


def _winner(winner: Winner, summary: Summary) -> Text:
    clear = "" if winner.clear else " (the interval contains 0 or does not exist)"
    against = f"; {winner.difference} against {summary.baseline}{clear}" if winner.difference else ""
    tied = f"; not told apart from {', '.join(winner.tied)}" if winner.tied else ""
    return Text(f", {winner.mean}{against}{tied} ({winner.condition})", lead=winner.name)


def where_of(entry: Entry) -> tuple[Shown, Shown]:
    return Shown(entry.condition), Shown(entry.row)


def mean_values(mean: Mean) -> tuple[Value, ...]:
    return mean.mean, mean.sd, mean.num, mean.low, mean.high, mean.num_undefined, mean.interval if mean.num > 1 else ""


def noted(text: str, mean: Mean, entry: Entry) -> str:
    """The text, with what it rests on where that is less than was planned."""
    wanted = entry.coverage.planned - entry.coverage.skipped
    short = f" [{mean.num}/{wanted} seeds]" if mean.num < wanted and mean.num else ""
    return text + short + (f" [{mean.num_undefined} undefined]" if mean.num_undefined else "")


def main(report: Report) -> Table:
    """Every metric by method and condition."""
    infos = report.results.metrics
    names = [info.name for info in infos]
    arrows = {info.name: "↑" if info.higher_is_better else "↓" for info in infos}
    entries = report.summary.all_entries()
    tidy_columns = (*WHERE, Column("metric"), *MEAN, Column("num_planned", numeric=True), Column("num_failed", numeric=True))
    tidy_columns += (Column("num_missing", numeric=True), Column("standing"))
    return Table(
        name="main",
        caption=f"Metrics by method and condition. {INTERVALS}. {SYMBOLS} ↑: higher is better, ↓: lower.",
        columns=(*WHERE, *(Column(f"{name} {arrows[name]}", numeric=True) for name in names)),
        rows=tuple((*where_of(entry), *(_shown_score(entry, entry.scores[name]) for name in names)) for entry in entries),
        tidy_columns=tidy_columns,
        tidy_rows=tuple(_main_row(entry, name) for entry in entries for name in names),
    )


def _main_row(entry: Entry, name: str) -> tuple[Value, ...]:
    score, ended = entry.scores[name], entry.coverage
    counts = (ended.planned, ended.failed, ended.missing)
    return (entry.condition, entry.row, name, *mean_values(score.mean), *counts, score.standing)


def _shown_score(entry: Entry, score: Score) -> Shown:
    return Shown(noted(shown_mean(score.mean), score.mean, entry), score.mean.mean if score.mean.num else None, score.standing)


def scores(summary: Summary, metric: str) -> Drawing | None:
    """Mean and interval by method, one panel per condition."""
    found = {name: [e for e in rows.values() if e.scores[metric].mean.num] for name, rows in summary.entries.items()}
    found = {name: entries for name, entries in found.items() if entries}
    if not found:
        return None
    shown = {name: found[name] for name in drawn(list(found))}
    panels = [_scores_panel(name, entries, summary.rows, metric) for name, entries in shown.items()]
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{e.row} {shown_mean(e.scores[metric].mean)}" for e in entries) for name, entries in shown.items()
    )
    caption = (
        "Dot: mean over seeds; bar: 95 % interval; small grey dots: single seeds (up to 20); orange square: best mean, significantly ahead."
    )
    chart = Chart(tuple(panels), 2.7, row_height(len(summary.rows)))
    return Drawing("metric", f"{metric} by method", alt, caption + capped("conditions", len(shown), len(found)), chart)


def row_height(rows: int) -> float:
    """Inches of a panel with so many rows."""
    return 0.25 + 0.24 * rows


def _scores_panel(name: str, entries: Sequence[Entry], rows: Sequence[str], metric: str) -> Panel:
    seeds = {rows.index(e.row): [v for v in values_by_seed(e.cells, metric).values() if np.isfinite(v)] for e in entries}
    means = {rows.index(e.row): e.scores[metric].mean for e in entries}
    best = {rows.index(e.row) for e in entries if e.scores[metric].standing == "best"}
    series = interval_series({at: mean for at, mean in means.items() if at not in best})
    series += interval_series({at: mean for at, mean in means.items() if at in best}, strong=True)
    return Panel(name, Axis(metric), Axis(names=tuple(rows)), (seed_dots(seeds), *series))


def seed_dots(values: Mapping[int, Sequence[float]]) -> Series:
    """Single seeds, small and grey, by row."""
    pairs = [(value, float(at)) for at, found in values.items() if len(found) <= MAX_DOTS for value in found]
    return Series("points", tuple(x for x, _ in pairs), tuple(y for _, y in pairs), FAINT)


def interval_series(means: Mapping[int, Mean], *, strong: bool = False) -> list[Series]:
    """Means with their intervals by row."""
    if not means:
        return []
    places = tuple(map(float, means))
    texts = tuple(shown_mean(mean) for mean in means.values())
    widths = tuple(mean.half_width for mean in means.values())
    return [Series("points", tuple(mean.mean for mean in means.values()), places, 0, x_error=widths, strong=strong, texts=texts)]
