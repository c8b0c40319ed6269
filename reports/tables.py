"""The six tables of a report: main, differences, coverage, cost, per class, cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.labels import label
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import Coverage, Entry, Mean, Score, Summary, mean_of, shown_difference, shown_mean
from reports.table import Column, Shown, Table, Value, number

WHERE = (Column("condition"), Column("method"))
MEAN = tuple(Column(name, numeric=True) for name in ("mean", "standard_deviation", "num_seeds", "ci95_low", "ci95_high", "num_undefined"))
INTERVALS = "± is the half-width of the 95 % t interval of the mean over seeds, not adjusted for the number of comparisons"


def build_tables(results: SuiteResults, summary: Summary) -> dict[str, Table]:
    """Every table by name, in the order of the page."""
    made = (main(results, summary), differences(results, summary), coverage(summary), cost(summary))
    return {table.name: table for table in (*made, per_class(results, summary), cells(results))}


def _where(entry: Entry) -> tuple[Shown, Shown]:
    return Shown(entry.condition), Shown(entry.row)


def _mean_values(mean: Mean) -> tuple[Value, ...]:
    return mean.mean, mean.sd, mean.num, mean.low, mean.high, mean.num_undefined


def _noted(text: str, mean: Mean, entry: Entry) -> str:
    """The text, with what it rests on where that is less than was planned."""
    wanted = entry.coverage.planned - entry.coverage.skipped
    short = f" [{mean.num}/{wanted} seeds]" if mean.num < wanted and mean.num else ""
    return text + short + (f" [{mean.num_undefined} undefined]" if mean.num_undefined else "")


def main(results: SuiteResults, summary: Summary) -> Table:
    """Every metric by method and condition."""
    names = [info.name for info in results.metrics]
    arrows = {info.name: "↑" if info.higher_is_better else "↓" for info in results.metrics}
    entries = summary.all_entries()
    tidy_columns = (*WHERE, Column("metric"), *MEAN, Column("num_planned", numeric=True), Column("num_failed", numeric=True))
    tidy_columns += (Column("num_missing", numeric=True), Column("standing"))
    return Table(
        name="main",
        caption=f"Metrics by method and condition. {INTERVALS}. Bold (or *): best mean of the condition; †: not told apart from the best "
        "(the interval of the paired difference contains 0). ↑: higher is better, ↓: lower.",
        columns=(*WHERE, *(Column(f"{name} {arrows[name]}", numeric=True) for name in names)),
        rows=tuple((*_where(entry), *(_shown_score(entry, entry.scores[name]) for name in names)) for entry in entries),
        tidy_columns=tidy_columns,
        tidy_rows=tuple(_main_row(entry, name) for entry in entries for name in names),
    )


def _main_row(entry: Entry, name: str) -> tuple[Value, ...]:
    score, ended = entry.scores[name], entry.coverage
    counts = (ended.planned, ended.failed, ended.missing)
    return (entry.condition, entry.row, name, *_mean_values(score.mean), *counts, score.standing)


def _shown_score(entry: Entry, score: Score) -> Shown:
    return Shown(_noted(shown_mean(score.mean), score.mean, entry), score.mean.mean if score.mean.num else None, score.standing)


def differences(results: SuiteResults, summary: Summary) -> Table:
    """Paired differences to the baseline by method and condition."""
    names = [info.name for info in results.metrics]
    entries = [entry for entry in summary.all_entries() if any(score.difference for score in entry.scores.values())]
    tidy = ((entry, name, entry.scores[name].difference) for entry in entries for name in names)
    return Table(
        name="differences",
        caption=f"Difference to {summary.baseline or results.baseline}, paired by seed (the same images are removed for every method). "
        f"{INTERVALS}. 0: equal at every seed, as for AUC where two methods rest on the same outputs up to a constant per class.",
        columns=(*WHERE, *(Column(f"Δ {name}", numeric=True) for name in names)),
        rows=tuple((*_where(entry), *(_shown_change(entry, entry.scores[name].difference) for name in names)) for entry in entries),
        tidy_columns=(*WHERE, Column("baseline"), Column("metric"), *MEAN),
        tidy_rows=tuple(
            (e.condition, e.row, summary.baseline, name, *_mean_values(change)) for e, name, change in tidy if change is not None
        ),
    )


def _shown_change(entry: Entry, change: Mean | None) -> Shown:
    if change is None or not change.num:
        return Shown("–")
    return Shown(_noted(shown_difference(change), change, entry), change.mean)


def coverage(summary: Summary) -> Table:
    """How the planned cells of every method and condition ended."""
    counts = ("planned", "ok", "failed", "skipped", "blocked", "missing")
    columns = (*WHERE, *(Column(name, "cells", numeric=True) for name in counts), Column("reasons"))
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


def cost(summary: Summary) -> Table:
    """Mean seconds per stage, memory and throughput of the finished cells."""
    entries = [(entry, [cell for cell in entry.cells if cell.status == "ok"]) for entry in summary.all_entries()]
    entries = [(entry, done) for entry, done in entries if done]
    keys = tuple(dict.fromkeys(key for _, done in entries for cell in done for key in cell.profile))
    columns = (*WHERE, *(_profile_column(key) for key in keys), Column("sharing", "cells per network", numeric=True))
    means = [[mean_of(cell.profile[key] for cell in done if key in cell.profile).mean for key in keys] for _, done in entries]
    shared = [max(cell.shared_with for cell in done) for _, done in entries]
    lines = list(zip((entry for entry, _ in entries), means, shared, strict=True))
    return Table(
        name="cost",
        caption="Mean time and memory of the finished cells. Peak host memory is that of the whole process: the interpreter, "
        "the libraries and the data set are in it, so it is not a method's own memory. "
        "Where several cells share a trained network (last column), the seconds of its stages were spent once "
        "for all of them and are those of the stage: not a method's solo cost.",
        columns=columns,
        rows=tuple((*_where(e), *map(_shown_cost, own), Shown(str(num), num)) for e, own, num in lines),
        tidy_columns=columns,
        tidy_rows=tuple((e.condition, e.row, *own, num) for e, own, num in lines),
    )


def _shown_cost(value: float) -> Shown:
    return number(value, 2 if abs(value) < 100 else 0)


def _profile_column(key: str) -> Column:
    head, _, stage = key.partition(".")
    if head == "cpu_seconds":
        return Column(f"{stage} CPU".strip(), "s", numeric=True)
    if head == "seconds":
        return Column(stage or "time", "s", numeric=True)
    if key.endswith("_mib"):
        return Column(key.removesuffix("_mib").replace("_", " "), "MiB", numeric=True)
    return Column("throughput", "images/s", numeric=True) if key == "images_per_second" else Column(key.replace("_", " "), numeric=True)


def per_class(results: SuiteResults, summary: Summary) -> Table:
    """Means of each class and part: every metric in the CSV, those that the suite asks for on the page."""
    entries = summary.all_entries()
    keys = tuple(dict.fromkeys(key for entry in entries for key in entry.parts if key.partition("/")[0] in results.show_per_class))
    tidy = ((entry, *key.partition("/")[::2], mean) for entry in entries for key, mean in entry.parts.items())
    measured = [entry for entry in entries if entry.parts] if keys else []
    return Table(
        name="per_class",
        caption="Means over seeds per class or part; deviations and intervals are in the CSV file.",
        columns=(*WHERE, *(Column(key.replace("/", " · ", 1), numeric=True) for key in keys)),
        rows=tuple((*_where(e), *(number(e.parts[k].mean if k in e.parts else None) for k in keys)) for e in measured),
        tidy_columns=(*WHERE, Column("metric"), Column("part"), *MEAN),
        tidy_rows=tuple((e.condition, e.row, metric, part, *_mean_values(mean)) for e, metric, part, mean in tidy),
    )


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
        rows=tuple((*_shown_cell(c, at), *(number(c.metrics.get(name), 4) for name in names)) for c, at in pairs),
        tidy_columns=(*fixed, *(Column(key, numeric=True) for key in metrics), *map(_raw_profile_column, profile)),
        tidy_rows=tuple(tidy),
    )


def _shown_cell(cell: CellResult, where: Sequence[str]) -> tuple[Shown, ...]:
    return (Shown(cell.key[:8]), *map(Shown, where), Shown(str(cell.seed), cell.seed), Shown(cell.status), Shown(cell.reason))


def _raw_profile_column(key: str) -> Column:
    unit = _profile_column(key).unit
    return Column(key, unit, numeric=True)


def _keys(found: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for keys in found for key in keys if "/" not in key))
