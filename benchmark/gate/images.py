"""Paired tests of two networks on the same test images, from their stored predictions.

They answer whether these two networks differ on such images, not whether the code does: a training has luck of its own, which only
more seeds show. Shape suffixes: N images, K classes, P positives, Q negatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, ndtr

from benchmark.metrics import Metric
from benchmark.records import Predictions

RESAMPLES = 200
"""Of the bootstrap: enough for a standard deviation to within 5 %."""


@dataclass(frozen=True)
class ImageTest:
    """How much worse the second network is, and the one-sided p-values of `it is not worse` and of `it is not better`."""

    loss: float
    p_worse: float
    p_better: float
    test: str
    deviation: float = math.nan
    """Standard error of the loss; NaN of an exact test."""


def compare(metric: Metric, before: Predictions, after: Predictions) -> ImageTest:
    """The test that fits the metric: McNemar for accuracy, DeLong for AUC, the paired bootstrap for any other. Same images, same order."""
    tests: dict[str, Callable[[Predictions, Predictions], ImageTest]] = {"accuracy": mcnemar, "auc": delong}
    if metric.name in tests:
        return tests[metric.name](before, after)
    return bootstrap(metric, before, after)


def mcnemar(before: Predictions, after: Predictions) -> ImageTest:
    """Exact: of the images that one network alone decides rightly, half should be the other's (McNemar 1947; binomial)."""
    right_before_N, right_after_N = (each.scores_NK.argmax(axis=1) == each.labels_N for each in (before, after))
    lost, won = int((right_before_N & ~right_after_N).sum()), int((~right_before_N & right_after_N).sum())
    num = len(before.labels_N)
    return ImageTest((lost - won) / num, _at_least(lost, lost + won), _at_least(won, lost + won), f"McNemar exact over {num} images")


def _at_least(hits: int, num: int) -> float:
    """Probability of so many heads or more."""
    return 1.0 if hits == 0 else float(bdtrc(hits - 1, num, 0.5))


def delong(before: Predictions, after: Predictions) -> ImageTest:
    """Difference of two macro one-vs-rest AUCs of the same images.

    DeLong, DeLong & Clarke-Pearson 1988: structural components, here summed over the classes that an image is a positive or a negative
    of, so that the covariances between classes count. For two classes it is theirs.
    """
    parts = [_components(each) for each in (before, after)]
    loss = parts[0][0] - parts[1][0]
    deviation = float(np.sqrt(((parts[0][1] - parts[1][1]) ** 2).sum()))
    return _normal(loss, deviation, f"DeLong over {len(before.labels_N)} images")


def _components(predictions: Predictions) -> tuple[float, NDArray[np.float64]]:
    """The macro AUC and what each image contributes to it [N]: the sum of squares is the variance of the AUC."""
    labels_N = predictions.labels_N
    classes = [label for label in np.unique(labels_N) if 0 < (labels_N == label).sum() < len(labels_N)]
    share_N = np.zeros(len(labels_N))
    areas = []
    for label in classes:
        is_positive_N = labels_N == label
        area, positive_P, negative_Q = _placements(predictions.scores_NK[:, label], is_positive_N)
        areas.append(area)
        share_N[is_positive_N] += _centred(positive_P, area)
        share_N[~is_positive_N] += _centred(negative_Q, area)
    return (float(np.mean(areas)), share_N / len(classes)) if classes else (math.nan, share_N)


def _placements(scores_N: NDArray[np.floating], is_positive_N: NDArray[np.bool_]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """AUC; for each positive the share of negatives below it, for each negative the share of positives above it. Ties count half."""
    positive_P, negative_Q = np.sort(scores_N[is_positive_N]), np.sort(scores_N[~is_positive_N])
    own_P, own_Q = scores_N[is_positive_N], scores_N[~is_positive_N]
    below_P = (np.searchsorted(negative_Q, own_P, "left") + np.searchsorted(negative_Q, own_P, "right")) / (2 * len(negative_Q))
    below_Q = (np.searchsorted(positive_P, own_Q, "left") + np.searchsorted(positive_P, own_Q, "right")) / (2 * len(positive_P))
    return float(below_P.mean()), below_P, 1 - below_Q


def _centred(placements: NDArray[np.float64], area: float) -> NDArray[np.float64]:
    num = len(placements)
    return (placements - area) / math.sqrt(num * max(1, num - 1))


def bootstrap(metric: Metric, before: Predictions, after: Predictions) -> ImageTest:
    """Any metric: the deviation of the loss over resampled images (Efron 1979), the same ones on both sides, and a normal test."""
    sign = 1 if metric.higher_is_better else -1
    num = len(before.labels_N)
    random = np.random.default_rng(0)  # the same answer every time
    losses = [_loss(metric, sign, before, after, random.integers(0, num, num)) for _ in range(RESAMPLES)]
    deviation = float(np.nanstd(losses, ddof=1)) if np.isfinite(losses).sum() > 1 else math.nan
    return _normal(_loss(metric, sign, before, after, np.arange(num)), deviation, f"paired bootstrap over {num} images")


def _loss(metric: Metric, sign: int, before: Predictions, after: Predictions, rows: NDArray[np.int64]) -> float:
    values = [metric.score(replace(each, scores_NK=each.scores_NK[rows], labels_N=each.labels_N[rows])).value for each in (before, after)]
    return sign * (values[0] - values[1])


def _normal(loss: float, deviation: float, test: str) -> ImageTest:
    if not deviation > 0 or math.isnan(loss):
        return ImageTest(loss, 1.0, 1.0, test, deviation)
    return ImageTest(loss, float(ndtr(-loss / deviation)), float(ndtr(loss / deviation)), test, deviation)
