"""The table that goes into a paper: methods against conditions by one metric, the best in bold where it is significantly ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.records import MetricInfo
from benchmark.summary import Entry, Mean, Score, Summary, interval_mean, shown_mean, values_by_seed
from reports.section import Report
from reports.table import Column, Shown, Table, Value

SYMBOLS = (
    "Bold (*): significantly ahead of all others in its condition (paired t over common seeds, Holm within the condition, 5 %). "
    "Where none is: ‡ the best mean, † not told apart from the best."
)


@dataclass(frozen=True)
class Common:
    """Means over common cells only."""

    by_entry: Mapping[tuple[str, str], Mean]
    """By condition and method: over the seeds that all methods with results in the condition have."""
    overall: Mapping[str, Mean]
    """By method: over the conditions in which all methods have a mean; each seed is averaged over the conditions first."""
    conditions: tuple[str, ...]
    """Those."""


def comparison(report: Report) -> Table | None:
    """Methods × conditions by the main metric; the longer side runs down. None where nothing was measured."""
    info, summary = report.main, report.summary
    if info is None or not any(entry.scores[info.name].mean.num for entry in summary.all_entries()):
        return None
    common = common_means(summary, info.name)
    down_conditions = len(summary.conditions) > len(summary.rows)
    lines = _by_condition(summary, info, common) if down_conditions else _by_method(summary, info, common)
    across = summary.rows if down_conditions else summary.conditions
    heading = "condition" if down_conditions else "method"
    mean = [] if down_conditions or len(common.conditions) < 2 else [Column(f"mean of {len(common.conditions)}", numeric=True)]
    return Table(
        name="comparison",
        caption=_caption(info, summary, common),
        columns=(Column(heading), *(Column(name, numeric=True) for name in across), *mean),
        rows=tuple(lines),
        tidy_columns=_TIDY,
        tidy_rows=tuple(_tidy(entry, info.name, common) for entry in summary.all_entries()),
    )


_TIDY = tuple(Column(name) for name in ("condition", "method", "metric")) + tuple(
    Column(name, numeric=True)
    for name in ("mean", "ci95_low", "ci95_high", "num_common_seeds", "num_own_seeds", "num_failed", "num_missing")
) + (Column("interval"), Column("standing"))  # fmt: skip


def common_means(summary: Summary, metric: str) -> Common:
    """Means over cells that all methods have."""
    kept: dict[tuple[str, str], dict[int, float]] = {}
    for name, rows in summary.entries.items():
        values = {row: _finite(entry, metric) for row, entry in rows.items()}
        seeds = set.intersection(*(set(found) for found in values.values() if found)) if any(values.values()) else set()
        kept |= {(name, row): {seed: found[seed] for seed in sorted(seeds)} for row, found in values.items() if found}
    whole = tuple(name for name in summary.conditions if all(kept.get((name, row)) for row in summary.rows))
    overall = {row: interval_mean(_over_conditions([kept[name, row] for name in whole])) for row in summary.rows} if whole else {}
    return Common({place: interval_mean(found.values()) for place, found in kept.items()}, overall, whole)


def _finite(entry: Entry, metric: str) -> dict[int, float]:
    return {seed: value for seed, value in values_by_seed(entry.cells, metric).items() if math.isfinite(value)}


def _over_conditions(values: Sequence[Mapping[int, float]]) -> list[float]:
    """At each seed that all conditions have, the mean over them: conditions of one seed are not independent."""
    seeds = sorted(set.intersection(*(set(found) for found in values)))
    return [math.fsum(found[seed] for found in values) / len(values) for seed in seeds]


def _caption(info: MetricInfo, summary: Summary, common: Common) -> str:
    direction = "higher" if info.higher_is_better else "lower"
    bars = {mean.interval for mean in common.by_entry.values()}
    made = "BCa bootstrap" if bars == {"bootstrap"} else "Student's t" if bars == {"t"} else "Student's t (below 20 seeds) or BCa bootstrap"
    text = f"{info.name} ({direction} is better): mean over the seeds that all methods of the condition have ± half of its 95 % "
    text += f"interval ({made}). "
    text += SYMBOLS + " [a/b]: a of b planned seeds; what failed is counted behind it."
    if len(common.conditions) > 1 and len(summary.conditions) <= len(summary.rows):
        text += f" Last column: over the {len(common.conditions)} conditions that all methods have, each seed averaged over them first."
    return text


def _by_method(summary: Summary, info: MetricInfo, common: Common) -> list[tuple[Shown, ...]]:
    lines = []
    for row in summary.rows:
        cells = [_shown(summary.entries[name].get(row), info.name, common) for name in summary.conditions]
        overall = common.overall.get(row)
        last = [Shown(shown_mean(overall), overall.mean if overall.num else None)] if overall and len(common.conditions) > 1 else []
        lines.append((Shown(row), *cells, *last))
    return lines


def _by_condition(summary: Summary, info: MetricInfo, common: Common) -> list[tuple[Shown, ...]]:
    lines = [
        (Shown(name), *(_shown(summary.entries[name].get(row), info.name, common) for row in summary.rows)) for name in summary.conditions
    ]
    if len(common.conditions) > 1:
        overall = [common.overall[row] for row in summary.rows]
        lines.append((Shown(f"mean of {len(common.conditions)} conditions"), *(Shown(shown_mean(mean), mean.mean) for mean in overall)))
    return lines


def _shown(entry: Entry | None, metric: str, common: Common) -> Shown:
    if entry is None:
        return Shown("not planned")
    score, mean = entry.scores[metric], common.by_entry.get((entry.condition, entry.row))
    if mean is None or not mean.num:
        return Shown(_nothing(entry, score))
    wanted = entry.coverage.planned - entry.coverage.skipped
    short = f" [{mean.num}/{wanted}]" if mean.num < wanted else ""
    lost = f" {entry.coverage.failed} failed" if entry.coverage.failed else ""
    return Shown(shown_mean(mean) + short + lost, mean.mean, score.standing)


def _nothing(entry: Entry, score: Score) -> str:
    ended = entry.coverage
    if score.mean.num:
        return "no common seed"
    words = {"failed": ended.failed, "skipped": ended.skipped, "blocked": ended.blocked}
    return ", ".join(f"{count} {word}" for word, count in words.items() if count) or "–"


def _tidy(entry: Entry, metric: str, common: Common) -> tuple[Value, ...]:
    mean = common.by_entry.get((entry.condition, entry.row))
    own, ended = entry.scores[metric], entry.coverage
    numbers = (mean.mean, mean.low, mean.high, mean.num) if mean else (None, None, None, 0)
    how = mean.interval if mean and mean.num > 1 else ""
    return (entry.condition, entry.row, metric, *numbers, own.mean.num, ended.failed, ended.missing, how, own.standing)
