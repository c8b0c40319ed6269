"""What a suite can detect before it is run: the smallest difference at 80 % power, from the deviations of paired differences so far."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr, stdtrit

from benchmark.exact import fewest_pairs, smallest_p
from benchmark.inference import ALPHA
from benchmark.summary import Summary, differences, mean_of, values_by_seed

POWER = 0.8
LADDER = (3, 5, 8, 10, 15, 20, 30, 50, 100)
"""Numbers of seeds that are offered."""


@dataclass(frozen=True)
class Detectable:
    """Of one method against the baseline: what its paired differences have shown so far."""

    row: str
    sd: float
    """Of the paired differences, pooled over the conditions."""
    pairs: int
    """Pairs that it rests on; deviations have that less the number of conditions degrees of freedom."""
    conditions: int

    def smallest(self, seeds: int) -> float:
        """The smallest true difference in one condition that so many seeds would detect."""
        return self.sd * detectable(seeds)


def deviations(summary: Summary, metric: str) -> list[Detectable]:
    """By method: the pooled deviation of its paired differences to the baseline, where two seeds of a condition have both."""
    found = []
    for row in summary.rows:
        if row == summary.baseline:
            continue
        samples = [sample for name in summary.conditions if len(sample := _pairs(summary, name, row, metric)) > 1]
        if samples and (pooled := pooled_sd(samples)) > 0:
            found.append(Detectable(row, pooled, sum(map(len, samples)), len(samples)))
    return found


def _pairs(summary: Summary, condition: str, row: str, metric: str) -> list[float]:
    rows = summary.entries[condition]
    if summary.baseline is None or row not in rows or summary.baseline not in rows:
        return []
    found = differences(values_by_seed(rows[row].cells, metric), values_by_seed(rows[summary.baseline].cells, metric))
    return [value for value in found if math.isfinite(value)]


def pooled_sd(samples: Sequence[Sequence[float]]) -> float:
    """Root of the mean variance, weighted by degrees of freedom."""
    means = [mean_of(sample) for sample in samples]
    squares = sum(mean.sd**2 * (mean.num - 1) for mean in means)
    return math.sqrt(squares / sum(mean.num - 1 for mean in means))


@functools.lru_cache(maxsize=1024)
def detectable(seeds: int) -> float:
    """The true difference in deviations of the pairs that a two-sided paired t test at ALPHA finds with probability POWER; inf below 2."""
    if seeds < 2:
        return math.inf
    low, high = 0.0, 1.0
    while power(high, seeds) < POWER:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, seeds) < POWER else (low, middle)
    return high


def power(effect: float, seeds: int) -> float:
    """Of a two-sided paired t test at ALPHA; `effect` in deviations of the pairs. Noncentral t (Cohen 1988, §2)."""
    freedom, shift = seeds - 1, effect * math.sqrt(seeds)
    bound = float(stdtrit(freedom, 1 - ALPHA / 2))
    above, below = 1 - float(nctdtr(freedom, shift, bound)), float(nctdtr(freedom, shift, -bound))
    return above + (below if np.isfinite(below) else 0.0)


def exact_words(seeds: int) -> str:
    """What the exact test can reach with so many seeds."""
    least, needed = smallest_p(seeds), fewest_pairs(ALPHA)
    if least <= ALPHA:
        return f"The exact paired test can reach p = {least:.2g}."
    return f"The exact paired test cannot go below p = {least:.4g} with {seeds} seeds: it needs {needed} to reach {ALPHA:g}."
