"""Where the level of a series changed: energy statistics split it, t-tests and a least magnitude decide what lasts.

The energy statistic compares two samples by all distances within and between them, and so is not led astray by single outliers
(Szekely and Rizzo 2013; Matteson and James 2014, "E-divisive"). As in MongoDB's and Otava's use of it the permutation test is replaced by a
t-test, which is exact to repeat; here Student's and Welch's must agree. ruptures does the search: the energy statistic of a split is what
a segment's dispersion loses by it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.moments import MEMORY, TIME, Change, Series

Values = NDArray[np.float64]
MIN_SEGMENT = 2
"""Moments at a level, at least: one alone may be an outlier."""
FEW = 5
"""Wild moments at one end, too few to be told apart, hide what comes beside them: then the rest is searched alone."""
FIRST_PASS = 10.0
"""While splitting, p may be so many times as large: a level in the middle hides as long as its other end is not found."""


@dataclass(frozen=True)
class Limits:
    """What counts as a change."""

    p: float = 0.001
    share: float = 0.02
    """Least change of times and memories (and of whatever is no score), relative to the level before."""
    score: float = 0.002
    """Least change of scores, absolute: 0.002 is 0.2 points."""


def changes_of(series: Series, limits: Limits | None = None) -> tuple[Change, ...]:
    """The changes of a series, in order; one of kind `drift` where a straight line tells the series better than steps do."""
    limits = limits or Limits()
    if len(series.moments) < 2 * MIN_SEGMENT:
        return ()  # without a search, and so without its library
    values = np.asarray(series.values, dtype=np.float64)
    is_share = series.where != "" or series.metric in (TIME, MEMORY)
    splits = change_points(values, p=limits.p, least=limits.share if is_share else limits.score, is_share=is_share)
    if not splits:
        return ()
    if is_drift(values, splits):
        return (_drift(series, values),)
    bounds = [0, *splits, len(values)]
    pieces = [values[low:high] for low, high in zip(bounds, bounds[1:], strict=False)]
    return tuple(
        Change(at, float(a.mean()), float(b.mean()), doubt(a, b), "step", _better(series, float(b.mean() - a.mean())))
        for at, a, b in zip(splits, pieces, pieces[1:], strict=False)
    )


def change_points(values: Values, *, p: float = 0.001, least: float = 0.0, is_share: bool = True) -> list[int]:
    """Indices at which a new level begins, ascending. `least`: magnitude below which a change is none, a share of the level before it or
    absolute. values [N], finite.
    """
    return _merged(values, _splits(values, 0, len(values), p * FIRST_PASS), p, least, is_share=is_share)


def _splits(values: Values, low: int, high: int, p: float) -> list[int]:
    """Split where the energy statistic is largest, as long as a t-test tells the two sides apart, and go on within them. Ascending."""
    if high - low < 2 * MIN_SEGMENT or np.ptp(values[low:high]) == 0:
        return []
    at = low + _largest(values[low:high])
    if doubt(values[low:at], values[at:high]) < p:
        return [*_splits(values, low, at, p), at, *_splits(values, at, high, p)]
    if at - low < FEW:
        return _splits(values, at, high, p)
    return _splits(values, low, at, p) if high - at < FEW else []


def _largest(values: Values) -> int:
    import ruptures

    search = ruptures.Binseg(custom_cost=_energy_cost(), min_size=MIN_SEGMENT, jump=1)
    return int(search.fit(values[:, None]).predict(n_bkps=1)[0])


def _energy_cost() -> Any:
    """A segment's dispersion: half the sum of all distances in it over its length. What a split takes off it is n m / 2 (n + m) times the
    energy distance of the two sides (Rizzo and Szekely 2010, DISCO).
    """
    import ruptures

    class Energy(ruptures.base.BaseCost):  # type: ignore[misc]  # ruptures has no types
        model = "energy"
        min_size = MIN_SEGMENT

        def fit(self, signal: Values) -> Energy:
            self.signal = signal
            distances_NN = np.abs(signal[:, 0, None] - signal[None, :, 0])
            self.sums_NN = np.pad(distances_NN.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
            return self

        def error(self, start: int, end: int) -> float:
            sums = self.sums_NN
            total = sums[end, end] - sums[start, end] - sums[end, start] + sums[start, start]
            return float(total / (2 * (end - start)))

    return Energy()


def _merged(values: Values, splits: list[int], p: float, least: float, *, is_share: bool) -> list[int]:
    """Take out the least certain split until all are certain, then the least in magnitude until all are large; each time anew."""
    while splits:
        bounds = [0, *splits, len(values)]
        sides = [(values[a:b], values[b:c]) for a, b, c in zip(bounds, bounds[1:], bounds[2:], strict=False)]
        doubts = [doubt(before, after) for before, after in sides]
        sizes = [_size(before, after, is_share=is_share) for before, after in sides]
        if not max(doubts) < p:
            splits = _without(splits, int(np.argmax(doubts)))
        elif min(sizes) < least:
            splits = _without(splits, int(np.argmin(sizes)))
        else:
            break
    return splits


def _without(splits: list[int], index: int) -> list[int]:
    return splits[:index] + splits[index + 1 :]


def _size(before: Values, after: Values, *, is_share: bool) -> float:
    change = abs(float(after.mean() - before.mean()))
    level = abs(float(before.mean()))
    return change if not is_share else change / level if level else math.inf


def doubt(first: Values, second: Values) -> float:
    """Two-sided p of two samples having one mean: the larger of Welch's and Student's t-tests; 1 below two values, where nothing is known.

    Welch holds where variances differ, but a few values that lie close together by chance make it sure; Student's pooled variance does
    not. 0 where both samples repeat exactly at different values.
    """
    if len(first) < 2 or len(second) < 2:
        return 1.0
    (n, m), (a, b) = (len(first), len(second)), (float(sample.var(ddof=1)) for sample in (first, second))
    gap = abs(float(first.mean() - second.mean()))
    if a + b <= (1e-12 * gap) ** 2:
        return 0.0 if gap else 1.0
    from scipy.special import stdtr  # here: every run that writes a report imports this module, few have enough moments to test

    apart = a / n + b / m
    freedom = apart**2 / ((a / n) ** 2 / (n - 1) + (b / m) ** 2 / (m - 1))
    pooled = ((n - 1) * a + (m - 1) * b) / (n + m - 2) * (1 / n + 1 / m)
    return 2 * float(max(stdtr(freedom, -gap / math.sqrt(apart)), stdtr(n + m - 2, -gap / math.sqrt(pooled))))


def is_drift(values: Values, splits: Sequence[int]) -> bool:
    """Whether a straight line explains the series better than its steps do, by BIC (a step costs two numbers: where, and how far)."""
    num = len(values)
    bounds = [0, *splits, num]
    steps = sum(float(((piece := values[a:b]) - piece.mean()) @ (piece - piece.mean())) for a, b in zip(bounds, bounds[1:], strict=False))
    residuals = values - _line(values)
    line = float(residuals @ residuals)
    tiny = 1e-12 * max(float(np.ptp(values)) ** 2, 1e-300)

    def bic(left: float, numbers: int) -> float:
        return num * math.log((left + tiny) / num) + numbers * math.log(num)

    return bic(line, 2) < bic(steps, 1 + 2 * len(splits))


def _line(values: Values) -> Values:
    times = np.arange(len(values), dtype=np.float64) - (len(values) - 1) / 2
    return np.asarray(values.mean() + times * float(times @ values) / float(times @ times), dtype=np.float64)


def _drift(series: Series, values: Values) -> Change:
    """From one end of the line to the other."""
    from scipy.special import stdtr  # here: as above

    line, num = _line(values), len(values)
    slope = float(line[-1] - line[0]) / (num - 1)
    squares = float(((np.arange(num) - (num - 1) / 2) ** 2).sum())
    error = math.sqrt(float((values - line) @ (values - line)) / max(num - 2, 1) / squares)
    p = float(2 * stdtr(num - 2, -abs(slope) / error)) if error else 0.0
    return Change(num - 1, float(line[0]), float(line[-1]), p, "drift", _better(series, slope))


def _better(series: Series, change: float) -> bool | None:
    return None if series.higher_is_better is None else (change > 0) == series.higher_is_better
