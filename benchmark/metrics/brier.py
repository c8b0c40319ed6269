"""Brier score."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import mean_or_nan
from benchmark.metrics._probabilities import log_probabilities
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("brier")
class Brier(Metric):
    """Mean over images of the squared distance between probabilities and the one-hot label, in [0, 2]. Adjusted scores are renormalised."""

    source = "Brier 1950"
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    def score(self, predictions: Predictions) -> MetricValue:
        distance_NK = np.exp(log_probabilities(predictions))
        distance_NK[np.arange(len(distance_NK)), predictions.labels_N] -= 1
        return MetricValue(mean_or_nan((distance_NK**2).sum(axis=1)))
