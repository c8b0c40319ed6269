"""F1 of each class and their mean."""

from __future__ import annotations

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, f_scores, macro
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("f1")
class F1(Metric):
    """Macro F1 (mean of the classes' F1, not F1 of the means) over the classes present in the labels, and F1 per class.

    A present class that is never hit has 0; an absent one has 0 if it is predicted, NaN if not, and is left out of the mean.
    """

    source = "sklearn.metrics.f1_score, average='macro', labels=<those present>, zero_division=0"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        return macro(f_scores(counts, 1.0), counts)
