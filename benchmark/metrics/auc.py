"""Multi-class ROC AUC, one class against the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import Metric
from benchmark.metrics._confusion import checked_scores, mean_or_nan
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("auc")
class AUC(Metric):
    """Mean over classes of the one-vs-rest area under the ROC curve; a tie between a positive and a negative counts half.

    Each column of the stored scores ranks the images as it stands. Those are log-probabilities, so the ranking is that of softmax;
    thresholding subtracts a constant from a column and leaves it alone. Renormalising adjusted rows would change the ranking, so
    nothing is renormalised here. A class with no positive or no negative label is NaN and left out of the mean; NaN if all are.
    """

    source = "Buda et al. 2018, section 3.4; the rank form of Mann-Whitney U with mid-ranks"

    def score(self, predictions: Predictions) -> MetricValue:
        columns_KN = np.ascontiguousarray(checked_scores(predictions).T)
        areas_K = np.array([_area(column_N, predictions.labels_N == label) for label, column_N in enumerate(columns_KN)])
        return MetricValue(mean_or_nan(areas_K[~np.isnan(areas_K)]), per_class=tuple(areas_K.tolist()))


def _area(scores_N: NDArray[np.floating], positive_N: NDArray[np.bool_]) -> float:
    positives = int(positive_N.sum())
    negatives = len(positive_N) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    order_N = np.argsort(scores_N)
    sorted_N = scores_N[order_N]
    starts = np.flatnonzero(np.concatenate(([True], sorted_N[1:] != sorted_N[:-1])))  # of each run of equal scores
    ends = np.append(starts[1:], len(sorted_N))
    hits = np.add.reduceat(positive_N[order_N].astype(np.int64), starts)
    twice_rank_sum = int((hits * (starts + 1 + ends)).sum())  # whole numbers: exact, whatever the order of the images
    return (twice_rank_sum - positives * (positives + 1)) / (2 * positives * negatives)
