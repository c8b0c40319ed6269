"""A mean over seeds and how sure it is: Student's t interval below BOOTSTRAP_FROM seeds, a BCa bootstrap interval from there on."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.student import quantile

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 20
"""Seeds. Below, bootstrap intervals of a mean are too narrow and t is better, skewed or not (Hesterberg 2015, §4)."""
RESAMPLES = 2_000
Interval = Literal["t", "bootstrap"]


@dataclass(frozen=True)
class Mean:
    """Mean of the finite ones among some values, and how sure it is."""

    mean: float
    """NaN where there is no finite value."""
    sd: float
    """Sample standard deviation (n - 1); NaN below two values."""
    num: int
    half_width: float
    """Half the interval's length; NaN below two values."""
    num_undefined: int = 0
    """Values left out because they are NaN or infinite."""
    ends: tuple[float, float] | None = None
    """Of a bootstrap interval, which need not be symmetric; None: the t interval, mean ± half_width."""

    @property
    def interval(self) -> Interval:
        """How the interval was made."""
        return "bootstrap" if self.ends else "t"

    @property
    def low(self) -> float:
        return self.ends[0] if self.ends else self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.ends[1] if self.ends else self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """True where the interval exists and does not contain 0."""
        return self.num > 1 and (self.low > 0 or self.high < 0)


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
    mean = float(finite.mean())
    deviations = finite - mean
    sd = math.sqrt(float(deviations @ deviations) / (len(finite) - 1))
    return Mean(mean, sd, len(finite), student(len(finite), CONFIDENCE) * sd / math.sqrt(len(finite)), undefined)


def interval_mean(values: Iterable[float]) -> Mean:
    """The same with the interval that suits the number of values: t below BOOTSTRAP_FROM of them, the BCa bootstrap from there on."""
    given = np.fromiter(values, dtype=np.float64)
    found = mean_of(given)
    if found.num < BOOTSTRAP_FROM or found.sd == 0:
        return found
    low, high = bootstrap_ends(given[np.isfinite(given)])
    return replace(found, half_width=(high - low) / 2, ends=(low, high))


def bootstrap_ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """BCa interval of the mean (Efron 1987), with the same resamples for every sample of a size: results repeat, pairs stay paired."""
    from scipy.special import ndtr, ndtri  # here: importing them takes longer than most commands

    num = len(values)
    resampled = np.sort(_weights(num) @ values)
    centre = float(values.mean())
    below = (np.searchsorted(resampled, centre) + np.searchsorted(resampled, centre, side="right")) / 2 / RESAMPLES
    bias = float(ndtri(min(max(below, 1 / RESAMPLES), 1 - 1 / RESAMPLES)))
    jackknife = (num * centre - values) / (num - 1)
    deviations = jackknife.mean() - jackknife
    spread = float((deviations**2).sum()) ** 1.5
    skew = float((deviations**3).sum()) / (6 * spread) if spread else 0.0
    tails = float(ndtri((1 - CONFIDENCE) / 2)), float(ndtri((1 + CONFIDENCE) / 2))
    places = [float(ndtr(bias + (bias + tail) / (1 - skew * (bias + tail)))) for tail in tails]
    low, high = np.interp(places, _GRID, resampled)
    return float(low), float(high)


_GRID = np.linspace(0, 1, RESAMPLES)


@functools.lru_cache(maxsize=16)
def _weights(num: int) -> NDArray[np.float64]:
    """[RESAMPLES, num]: how often each value stands in each resample, divided by their number."""
    return np.random.default_rng(num).multinomial(num, [1 / num] * num, size=RESAMPLES) / num


@functools.lru_cache(maxsize=4096)
def student(num: int, confidence: float) -> float:
    """Two-sided quantile of Student's t for a mean of `num` values."""
    return quantile(num - 1, confidence)


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """first - second at the seeds that both have, in their order."""
    return [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Mean:
    """Mean of first - second over the seeds that both have; pairs with a NaN are left out and counted."""
    return interval_mean(differences(first, second))
