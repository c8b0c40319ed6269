"""Geometric mean of the recalls."""

from __future__ import annotations

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("gmean")
class GMean(Metric):
    """Multiclass G-mean: the C-th root of the product of the recalls of the C classes present in the labels.

    0 as soon as one class is missed altogether (no correction). Never above balanced accuracy; `gmean_ovr` is another thing.
    """

    source = "imblearn.metrics.geometric_mean_score, average='multiclass', correction=0"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        found = recalls(counts)[counts.present_K]
        return MetricValue(float(np.prod(found ** (1 / found.size))) if found.size else float("nan"))
