"""Tests behind verdicts: one-sided t tests against a bound, how many of several hold, Holm's correction, seeds that would decide.

Everything is paired over seeds: a sample is one number per seed, and seeds are the only independent repeats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.means import Mean

ALPHA = 0.05
MOST_SEEDS = 10_000
"""Beyond so many seeds nobody waits for a decision."""


@dataclass(frozen=True)
class Evidence:
    """One-sided p-values: of the claimed side (small: the claim holds), and of the other one (small: it does not)."""

    for_: float
    against: float

    @property
    def two_sided(self) -> float:
        return min(1.0, 2 * min(self.for_, self.against))


UNKNOWN = Evidence(1.0, 1.0)


def above(sample: Mean, bound: float) -> Evidence:
    """Whether the expected value is above a bound: Student's t over seeds, UNKNOWN below two of them.

    Where all seeds agree to the last bit the t test would be certain; a sign test is not: n seeds on one side have p = 2^-n.
    """
    if sample.num < 2:
        return UNKNOWN
    distance = sample.mean - bound
    if sample.sd == 0:
        p = 0.5**sample.num
        return Evidence(p, 1.0) if distance > 0 else Evidence(1.0, p) if distance < 0 else UNKNOWN
    from scipy.special import stdtr  # here: most commands test nothing, and this import takes longer than many of them

    t = distance / (sample.sd / math.sqrt(sample.num))
    return Evidence(float(stdtr(sample.num - 1, -t)), float(stdtr(sample.num - 1, t)))


def below(sample: Mean, bound: float) -> Evidence:
    """Whether the expected value is below a bound."""
    found = above(sample, bound)
    return Evidence(found.against, found.for_)


def within(sample: Mean, tolerance: float) -> Evidence:
    """Whether the expected value lies inside ± tolerance: two one-sided tests (Schuirmann 1987); against: on either side of it."""
    low, high = above(sample, -tolerance), below(sample, tolerance)
    return Evidence(max(low.for_, high.for_), min(1.0, 2 * min(low.against, high.against)))


def all_of(found: Sequence[Evidence]) -> Evidence:
    """Whether all of them hold: an intersection-union test; against: at least one does not (Bonferroni)."""
    return at_least(found, len(found))


def at_least(found: Sequence[Evidence], number: int) -> Evidence:
    """Whether at least `number` of them hold, against at least len - number + 1 that do not: partial conjunctions, any dependence.

    Benjamini & Heller 2008, eq. 1 (Bonferroni form): of n p-values in order, (n - u + 1) p_(u) tests that at least u are true.
    """
    num = len(found)
    failing = num - number + 1
    return Evidence(_partial([each.for_ for each in found], number), _partial([each.against for each in found], failing))


def _partial(values: Sequence[float], number: int) -> float:
    return min(1.0, (len(values) - number + 1) * sorted(values)[number - 1])


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order (Holm 1979): the family-wise error stays below alpha under any dependence."""
    order = np.argsort(np.asarray(values), kind="stable")
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def effect_size(sample: Mean) -> float:
    """Hedges' g of paired differences: mean over their deviation, corrected for few pairs (Hedges 1981, eq. 6e); NaN without spread."""
    if sample.num < 2 or not sample.sd > 0:
        return math.nan
    correction = 1 - 3 / (4 * (sample.num - 1) - 1)
    return sample.mean / sample.sd * correction


def deciding_seeds(evidence: Callable[[int], Evidence], now: int, alpha: float) -> int | None:
    """The smallest number of seeds, above `now`, at which the two-sided p would be at most alpha; None above MOST_SEEDS.

    `evidence(n)` is what n seeds of the same means and deviations would show.
    """
    low, high = now, max(2, 2 * now)
    while evidence(high).two_sided > alpha:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if evidence(middle).two_sided <= alpha else (middle, high)
    return high
