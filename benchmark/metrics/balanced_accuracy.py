"""Balanced accuracy."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, mean_or_nan, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("balanced_accuracy")
class BalancedAccuracy(Metric):
    """Mean recall of the classes present in the labels; equals accuracy on a balanced test set. Not adjusted for chance."""

    source = "sklearn.metrics.balanced_accuracy_score; called ACSA by Mullick et al. 2019"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        return MetricValue(mean_or_nan(recalls(counts)[counts.present_K]))
