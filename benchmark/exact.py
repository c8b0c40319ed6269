"""Exact paired tests, which assume no distribution: p-values count arrangements of signs, and say how small they can get at all."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOST_FLIPPED = 12
"""Pairs up to which every arrangement of signs is enumerated (4,096); the signed-rank distribution is counted for more."""
_EQUAL = 1e-9
"""Sums closer than this share of their size are equal: the order of a sum moves its last digits."""


@dataclass(frozen=True)
class ExactTest:
    """A two-sided exact test of paired differences against 0."""

    name: Literal["sign-flip", "signed-rank"]
    p: float
    smallest: float
    """The smallest p that so many pairs can reach: where it is above alpha nothing can be significant."""


def exact_test(differences: Sequence[float]) -> ExactTest | None:
    """Sign-flip permutation test of the mean for few pairs, Wilcoxon's signed-rank test for more; None without a finite pair."""
    finite = np.array([value for value in differences if math.isfinite(value)], dtype=np.float64)
    if not len(finite):
        return None
    if len(finite) <= MOST_FLIPPED:
        return ExactTest("sign-flip", sign_flip(finite), smallest_p(len(finite)))
    return ExactTest("signed-rank", signed_rank(finite), smallest_p(len(finite)))


def smallest_p(num: int) -> float:
    """Of `num` pairs, two-sided: all on one side, 2 of 2^n arrangements. 5 pairs: 0.0625; 6: 0.03125."""
    return min(1.0, 2.0 ** (1 - num))


def fewest_pairs(alpha: float) -> int:
    """From how many pairs on an exact test can reach alpha."""
    return math.ceil(1 - math.log2(alpha))


def sign_flip(differences: NDArray[np.float64]) -> float:
    """Share of all arrangements of signs whose sum is at least as far from 0 as the observed one (Fisher 1935, §21)."""
    sums = _signs(len(differences)) @ differences
    observed = abs(float(differences.sum()))
    scale = _EQUAL * float(np.abs(differences).sum())
    return float(np.mean(np.abs(sums) >= observed - scale))


@functools.lru_cache(maxsize=MOST_FLIPPED)
def _signs(num: int) -> NDArray[np.float64]:
    """[2^n, n] of ±1."""
    bits = (np.arange(2**num)[:, None] >> np.arange(num)) & 1
    return 1.0 - 2.0 * bits.astype(np.float64)


def signed_rank(differences: NDArray[np.float64]) -> float:
    """Wilcoxon's test from the exact distribution given the ties: zeros are dropped, equal sizes share their mean rank.

    Mean ranks are halves of integers, so twice the rank sum is an integer and its distribution is counted by adding one pair at a time.
    """
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    twice = _twice_ranks(np.abs(nonzero))
    total = int(twice.sum())
    observed = int(twice[nonzero > 0].sum())
    size = min(observed, total - observed) + 1  # beyond the tail nothing is asked for
    shares = np.zeros(size)
    shares[0] = 1.0
    for rank in twice:
        shares /= 2
        if rank < size:
            shares[rank:] += shares[: size - rank].copy()
    return float(min(1.0, 2 * shares.sum()))


def _twice_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the mean rank of each, smallest first."""
    ordered = np.sort(sizes)
    low = np.searchsorted(ordered, sizes, side="left")
    high = np.searchsorted(ordered, sizes, side="right")
    return (low + high + 1).astype(np.int64)
