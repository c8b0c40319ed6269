"""Negative log-likelihood."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import mean_or_nan
from benchmark.metrics._probabilities import log_probabilities
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("nll")
class NegativeLogLikelihood(Metric):
    """Mean over images of -log p(true class), in nats: the cross-entropy. Adjusted scores are renormalised first."""

    source = "sklearn.metrics.log_loss"
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    def score(self, predictions: Predictions) -> MetricValue:
        log_p_NK = log_probabilities(predictions)
        return MetricValue(mean_or_nan(-log_p_NK[np.arange(len(log_p_NK)), predictions.labels_N]))
