"""F-beta of each class and their mean."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, f_scores, macro
from benchmark.records import MetricValue, Predictions
from benchmark.registry import parameter, plugin


@plugin("fbeta")
class FBeta(Metric):
    """Macro F-beta over the classes present in the labels, and F-beta per class; absent classes as in `f1`."""

    source = "sklearn.metrics.fbeta_score, average='macro', labels=<those present>, zero_division=0"

    beta: float = parameter(2.0, doc="weight of recall against precision: above 1 favours recall", above=0, high=100)

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        return macro(f_scores(counts, self.beta), counts)
