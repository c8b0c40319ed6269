"""Recall of each class and their mean."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, macro, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("recall")
class Recall(Metric):
    """Macro recall, and recall per class: a class absent from the labels is NaN and left out of the mean."""

    source = "sklearn.metrics.recall_score, average='macro'"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        return macro(recalls(counts), counts)
