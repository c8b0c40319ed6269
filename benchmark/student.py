"""The two-sided quantile of Student's t for whole degrees of freedom.

SciPy has it too, but importing scipy.special takes 0.2 s, a quarter of all that a command takes which finds nothing left to do.
"""

from __future__ import annotations

import functools
import math


@functools.cache
def quantile(df: int, confidence: float) -> float:
    """The t with P(|T| <= t) = `confidence` (in (0, 1)) for `df` >= 1 degrees of freedom, to about 12 digits: by bisection of the angle."""
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if within(df, middle) < confidence else (low, middle)
    return math.sqrt(df) * math.tan(low)


def within(df: int, angle: float) -> float:
    """P(|T| <= sqrt(df) tan(angle)) for an angle in [0, pi/2]: a finite sum (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (1.0, 0.0) if df % 2 == 0 else (cosine, 0.0)
    for number in range(df % 2, df - 1, 2):
        total += term
        term *= cosine * cosine * (number + 1) / (number + 2)
    return sine * total if df % 2 == 0 else (angle + sine * total) * 2 / math.pi
