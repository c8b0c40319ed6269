"""What follows from the history of a training: how far training and test accuracy part, and how steady the end is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

LAST = 0.2
"""Share of the points that are the end of a training."""

History = Mapping[str, Sequence[tuple[int, float]]]


def derived(history: History) -> dict[str, float]:
    """`train_test_gap`: training minus test accuracy at the end. `gap_growth`: that gap minus the one at half time, which is the point
    nearest to half the steps (the earlier of two), NaN where that is the last one. `test_accuracy_sd`: standard deviation (n - 1) of test
    accuracy over the last fifth of the points, NaN where that is fewer than two. Nothing of an empty history.
    """
    if not history:
        return {}
    train, test = (history[f"{part}.accuracy"] for part in ("train", "test"))
    gaps = [(step, seen - unseen) for (step, seen), (_, unseen) in zip(train, test, strict=True)]
    last, gap = gaps[-1]
    half, gap_then = min(gaps, key=lambda point: abs(2 * point[0] - last))
    end = [accuracy for _, accuracy in test[len(test) - round(LAST * len(test)) :]]
    return {
        "train_test_gap": gap,
        "gap_growth": gap - gap_then if half < last else math.nan,
        "test_accuracy_sd": statistics.stdev(end) if len(end) > 1 else math.nan,
    }
