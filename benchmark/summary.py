"""Statistics over a suite's cells: means with intervals, paired differences to the baseline, the best per condition, coverage.

Every interval is a two-sided 95 % Student t interval of a mean over seeds, unadjusted for the number of comparisons.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from benchmark.labels import ROW, label
from benchmark.records import CellResult, SuiteResults

CONFIDENCE = 0.95
Standing = Literal["best", "tied", ""]
"""`tied`: the interval of the paired difference to the best contains 0, so that the two cannot be told apart."""


@dataclass(frozen=True)
class Mean:
    """Mean of the finite ones among some values, and how sure it is."""

    mean: float
    """NaN where there is no finite value."""
    sd: float
    """Sample standard deviation (n - 1); NaN below two values."""
    num: int
    half_width: float
    """Of the interval; NaN below two values."""
    num_undefined: int = 0
    """Values left out because they are NaN or infinite."""

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """True where the interval exists and does not contain 0."""
        return self.num > 1 and (self.low > 0 or self.high < 0)


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
class Score:
    """A method under one condition by one metric."""

    mean: Mean
    difference: Mean | None
    """To the baseline over the seeds that both have; None for the baseline itself and where there is none."""
    standing: Standing = ""


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
        return [entry for entry in self.entries[condition].values() if entry.scores[metric].standing == "best"]


def mean_of(values: Iterable[float]) -> Mean:
    """Mean, deviation and half-width of the t interval; NaN and infinite values are left out and counted."""
    given = np.fromiter(values, dtype=np.float64)
    finite = given[np.isfinite(given)]
    undefined = len(given) - len(finite)
    if len(finite) == 0:
        return Mean(math.nan, math.nan, 0, math.nan, undefined)
    if len(finite) == 1:
        return Mean(float(finite[0]), math.nan, 1, math.nan, undefined)
    if np.all(finite == finite[0]):  # exact: the sum of equal floats is not always their multiple
        return Mean(float(finite[0]), 0.0, len(finite), 0.0, undefined)
    sd = float(finite.std(ddof=1))
    quantile = float(stdtrit(len(finite) - 1, (1 + CONFIDENCE) / 2))
    return Mean(float(finite.mean()), sd, len(finite), quantile * sd / math.sqrt(len(finite)), undefined)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Mean:
    """Mean of first - second over the seeds that both have; pairs with a NaN are left out and counted."""
    return mean_of(first[seed] - second[seed] for seed in sorted(first.keys() & second.keys()))


def values_by_seed(cells: Iterable[CellResult], metric: str) -> dict[int, float]:
    """The metric of every finished cell that has it."""
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


def summarize(results: SuiteResults) -> Summary:
    """Group the cells into conditions and rows and compute every statistic once."""
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
            name: _entries(name, {row: found[row] for row in rows if row in found}, baseline, metrics) for name, found in groups.items()
        },
        coverage=coverage_of(results.cells),
        baseline=baseline,
    )


def _baseline(results: SuiteResults, rows: Mapping[str, str]) -> str | None:
    """The row that is labelled as the baseline is named, else the first one of that method."""
    if results.baseline in rows.values():
        return results.baseline
    named = [rows[cell.config_key] for cell in results.cells if cell.attributes.get(ROW) == results.baseline]
    return named[0] if named else None


def _entries(
    condition: str, cells: Mapping[str, Sequence[CellResult]], baseline: str | None, metrics: Mapping[str, bool]
) -> dict[str, Entry]:
    scores: dict[str, dict[str, Score]] = {row: {} for row in cells}
    for metric, higher_is_better in metrics.items():
        values = {row: values_by_seed(found, metric) for row, found in cells.items()}
        for row, score in _scores(values, baseline, higher_is_better=higher_is_better).items():
            scores[row][metric] = score
    return {row: Entry(condition, row, tuple(found), coverage_of(found), scores[row], _parts(found)) for row, found in cells.items()}


def _scores(values: Mapping[str, Mapping[int, float]], baseline: str | None, *, higher_is_better: bool) -> dict[str, Score]:
    means = {row: mean_of(found.values()) for row, found in values.items()}
    sign = 1 if higher_is_better else -1
    measured = [row for row in means if means[row].num]
    best = max(measured, key=lambda row: sign * means[row].mean, default=None)
    found = {}
    for row, mean in means.items():
        is_best = best is not None and mean.mean == means[best].mean  # several where they tie exactly; False for NaN
        standing: Standing = "best" if is_best else ""
        if best is not None and not is_best and mean.num:
            gap = paired_difference(values[row], values[best])
            standing = "tied" if gap.num > 1 and not gap.excludes_zero else ""
        compared = baseline in values and row != baseline
        found[row] = Score(mean, paired_difference(values[row], values[baseline or ""]) if compared else None, standing)
    return found


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
