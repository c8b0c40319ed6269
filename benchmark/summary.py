"""Statistics over a suite's cells: means with intervals, paired differences to the baseline, the best per condition, coverage.

Every interval is a two-sided 95 % interval of a mean over seeds, unadjusted for the number of comparisons: Student's t below 20 seeds,
a BCa bootstrap from there on (benchmark.means). Who is best is said by paired t tests, corrected (Holm) within a condition.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmark.exact import ExactTest, exact_test
from benchmark.inference import ALPHA, above, effect_size, holm
from benchmark.labels import ROW, label
from benchmark.means import CONFIDENCE as CONFIDENCE
from benchmark.means import Mean as Mean
from benchmark.means import differences as differences
from benchmark.means import interval_mean as interval_mean
from benchmark.means import mean_of as mean_of
from benchmark.means import paired_difference as paired_difference
from benchmark.means import student as student
from benchmark.records import PROFILE, CellResult, SuiteResults
from benchmark.selection import chosen

Standing = Literal["best", "leads", "tied", ""]
"""`best`: the best mean, significantly ahead of all others; `leads`: the best mean, not told apart from some; `tied`: one of those."""


@dataclass(frozen=True)
class Coverage:
    """How the planned cells ended. Reasons are counted by kind of failure, by rule, and by what blocked them."""

    planned: int
    ok: int
    failed: int
    skipped: int
    blocked: int
    missing: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True where every cell that a rule did not skip is there."""
        return self.ok + self.skipped == self.planned


@dataclass(frozen=True)
class Comparison:
    """A paired difference put to the test."""

    p: float
    """Student's paired t, two-sided; where all pairs are equal and not 0, a sign test."""
    p_holm: float
    """Adjusted for the methods of the condition that differ from the baseline."""
    exact: ExactTest | None
    effect: float
    """Hedges' g of the pairs; NaN without spread."""


@dataclass(frozen=True)
class Score:
    """A method under one condition by one metric."""

    mean: Mean
    difference: Mean | None
    """To the baseline over the seeds that both have; None for the baseline itself and where there is none."""
    standing: Standing = ""
    test: Comparison | None = None
    """Of the difference."""


@dataclass(frozen=True)
class Entry:
    """A method under one condition: its cells and scores."""

    condition: str
    row: str
    cells: tuple[CellResult, ...]
    coverage: Coverage
    scores: Mapping[str, Score]
    """By metric, in the suite's order."""
    parts: Mapping[str, Mean]
    """Means of what has a slash: `recall/cat`, `groups/tail`."""


@dataclass(frozen=True)
class Summary:
    """A suite's results as a reader compares them."""

    conditions: tuple[str, ...]
    data: Mapping[str, str]
    """Of each condition, the label of its data set and imbalance alone."""
    rows: tuple[str, ...]
    entries: Mapping[str, Mapping[str, Entry]]
    """By condition, then by row; what was not planned is absent."""
    coverage: Coverage
    baseline: str | None
    """The baseline's row; None if the suite has no such method."""

    def all_entries(self) -> list[Entry]:
        """Every entry, condition by condition."""
        return [entry for rows in self.entries.values() for entry in rows.values()]

    def best(self, condition: str, metric: str) -> list[Entry]:
        """The entry with the best mean; several where they tie exactly, none where nothing was measured."""
        return [entry for entry in self.entries[condition].values() if entry.scores[metric].standing in ("best", "leads")]


def values_by_seed(cells: Iterable[CellResult], metric: str) -> dict[int, float]:
    """The metric, or the figure of the profile, of every finished cell that has it."""
    if metric.startswith(PROFILE):
        return {cell.seed: cell.value(metric) for cell in cells if cell.status == "ok" and not math.isnan(cell.value(metric))}
    return {cell.seed: cell.metrics[metric] for cell in cells if cell.status == "ok" and metric in cell.metrics}


def coverage_of(cells: Sequence[CellResult]) -> Coverage:
    """Count the cells by how they ended."""
    ended = Counter(cell.status for cell in cells)
    reasons = Counter(reason_kind(cell) for cell in cells if cell.status in ("failed", "skipped", "blocked"))
    counts = {status: ended[status] for status in ("ok", "failed", "skipped", "blocked", "missing")}
    return Coverage(planned=len(cells), **counts, reasons=dict(reasons.most_common()))


def reason_kind(cell: CellResult) -> str:
    """`failed: out of memory on device`: of a failure the kind alone, of a skipped or blocked cell the whole reason."""
    reason = cell.reason.split(":")[0].strip() if cell.status == "failed" else cell.reason
    return f"{cell.status}: {reason or 'no reason given'}"


def summarize(results: SuiteResults, *, tested: bool = True) -> Summary:
    """Group the cells into conditions and rows and compute every statistic once.

    Not `tested`: means and differences alone, without standings and p-values. A table on the terminal shows none of them, and SciPy, which
    they need, takes a quarter of the time of a command that finds nothing to do.
    """
    planned = results.cells
    results = chosen(results)
    labels = label(results.cells)
    groups: dict[str, dict[str, list[CellResult]]] = defaultdict(lambda: defaultdict(list))
    for cell in results.cells:
        groups[labels.condition[cell.config_key]][labels.row[cell.config_key]].append(cell)
    rows = tuple(dict.fromkeys(labels.row[cell.config_key] for cell in results.cells))
    baseline = _baseline(results, labels.row)
    metrics = {info.name: info.higher_is_better for info in results.metrics}
    return Summary(
        conditions=tuple(groups),
        data={labels.condition[key]: labels.data[key] for key in labels.condition},
        rows=rows,
        entries={
            name: _entries(name, {row: found[row] for row in rows if row in found}, baseline, metrics, tested=tested)
            for name, found in groups.items()
        },
        coverage=coverage_of(planned),
        baseline=baseline,
    )


def _baseline(results: SuiteResults, rows: Mapping[str, str]) -> str | None:
    """The row that is labelled as the baseline is named, else the first one of that method."""
    if results.baseline in rows.values():
        return results.baseline
    named = [rows[cell.config_key] for cell in results.cells if cell.attributes.get(ROW) == results.baseline]
    return named[0] if named else None


def _entries(
    condition: str, cells: Mapping[str, Sequence[CellResult]], baseline: str | None, metrics: Mapping[str, bool], *, tested: bool
) -> dict[str, Entry]:
    scores: dict[str, dict[str, Score]] = {row: {} for row in cells}
    for metric, higher_is_better in metrics.items():
        values = {row: values_by_seed(found, metric) for row, found in cells.items()}
        for row, score in _scores(values, baseline, higher_is_better=higher_is_better, tested=tested).items():
            scores[row][metric] = score
    return {row: Entry(condition, row, tuple(found), coverage_of(found), scores[row], _parts(found)) for row, found in cells.items()}


def _scores(values: Mapping[str, Mapping[int, float]], baseline: str | None, *, higher_is_better: bool, tested: bool) -> dict[str, Score]:
    means = {row: interval_mean(found.values()) for row, found in values.items()}
    standings = _standings(values, means, 1 if higher_is_better else -1) if tested else {}
    against = values[baseline] if baseline is not None and baseline in values else None
    others = [row for row in values if row != baseline] if against is not None else []
    changes = {row: differences(values[row], against or {}) for row in others}
    tests = compare(changes) if tested else {}
    found = {}
    for row, mean in means.items():
        change = interval_mean(changes[row]) if row in changes else None
        found[row] = Score(mean, change, standings.get(row, ""), tests.get(row))
    return found


def compare(changes: Mapping[str, Sequence[float]], *, exact: bool = True) -> dict[str, Comparison]:
    """Tests of paired differences, one family. Rows that rest on the same outputs (equal at every seed) are one comparison, not two."""
    found: dict[str, Comparison] = {}
    groups: dict[tuple[float, ...], list[str]] = defaultdict(list)
    for row, change in changes.items():
        groups[tuple(change)].append(row)
    means = {change: mean_of(change) for change in groups}
    family = [change for change, mean in means.items() if mean.num > 1 and not (mean.mean == 0 and mean.sd == 0)]
    raw = [above(means[change], 0.0).two_sided for change in family]
    for change, p, adjusted in zip(family, raw, holm(raw), strict=True):
        made = Comparison(p, adjusted, exact_test(change) if exact else None, effect_size(means[change]))
        found |= dict.fromkeys(groups[change], made)
    return found


def _standings(values: Mapping[str, Mapping[int, float]], means: Mapping[str, Mean], sign: int) -> dict[str, Standing]:
    """Who has the best mean, whom it is not told apart from, and whether it is ahead of all others."""
    measured = [row for row in means if means[row].num]
    best = max(measured, key=lambda row: sign * means[row].mean, default=None)
    if best is None:
        return dict.fromkeys(means, "")
    top = [row for row in measured if means[row].mean == means[best].mean]  # several where they tie exactly
    gaps = {row: differences(values[row], values[best]) for row in measured if row not in top}
    tests = compare(gaps, exact=False)
    behind = {row for row, test in tests.items() if test.p_holm <= ALPHA}
    lead: Standing = "best" if gaps and behind == gaps.keys() else "leads"
    return {row: lead if row in top else "tied" if row in gaps and row not in behind else "" for row in means}


def _parts(cells: Sequence[CellResult]) -> dict[str, Mean]:
    names = dict.fromkeys(key for cell in cells if cell.status == "ok" for key in cell.metrics if "/" in key)
    return {name: mean_of(values_by_seed(cells, name).values()) for name in names}


def decimals(half_width: float) -> int:
    """Decimals that show the interval to two digits: 3 to 6."""
    if not math.isfinite(half_width) or half_width <= 0:
        return 3
    return min(6, max(3, 1 - math.floor(math.log10(half_width))))


def shown_mean(mean: Mean) -> str:
    """`0.912 ± 0.004`, `0.912 (n=1)`, `–` where there is nothing."""
    if mean.num == 0:
        return "–"
    places = decimals(mean.half_width)
    text = f"{mean.mean:.{places}f}"
    return f"{text} (n=1)" if mean.num == 1 else f"{text} ± {mean.half_width:.{places}f}"


def shown_difference(mean: Mean | None) -> str:
    """`+0.021 ± 0.004` with a true minus sign; a plain `0` where every pair is equal."""
    if mean is None or mean.num == 0:
        return "–"
    if mean.mean == 0 and not mean.half_width > 0:
        return "0" if mean.num > 1 else "0 (n=1)"
    sign = "+" if mean.mean > 0 else "−" if mean.mean < 0 else ""
    return sign + shown_mean(Mean(abs(mean.mean), mean.sd, mean.num, mean.half_width, mean.num_undefined))
