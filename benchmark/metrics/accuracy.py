"""Accuracy."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("accuracy")
class Accuracy(Metric):
    """Share of images decided correctly (the largest score; the lowest label among equals). NaN without images."""

    source = "Buda et al. 2018, section 3.4"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        return MetricValue(float(counts.correct_K.sum()) / counts.total if counts.total else float("nan"))
