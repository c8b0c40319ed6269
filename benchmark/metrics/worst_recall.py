"""Recall of the worst class."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("worst_recall")
class WorstRecall(Metric):
    """The smallest recall of the classes present in the labels."""

    source = "shijxcs/LIFT, utils/evaluator.py"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        found = recalls(counts)[counts.present_K]
        return MetricValue(float(found.min()) if found.size else float("nan"))
