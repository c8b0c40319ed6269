"""Precision of each class and their mean."""

from __future__ import annotations

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, macro, ratio
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("precision")
class Precision(Metric):
    """Macro precision over the classes present in the labels, and precision per class.

    A present class that is never predicted has 0; an absent one has 0 if it is predicted, NaN if not, and is left out of the mean.
    """

    source = "sklearn.metrics.precision_score, average='macro', labels=<those present>, zero_division=0"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        precisions_K = ratio(counts.correct_K, counts.predicted_K, empty=0.0)
        precisions_K[(counts.predicted_K == 0) & ~counts.present_K] = np.nan
        return macro(precisions_K, counts)
