"""Expected calibration error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._probabilities import log_probabilities
from benchmark.records import MetricValue, Predictions
from benchmark.registry import parameter, plugin


@plugin("ece")
class ExpectedCalibrationError(Metric):
    """Expected calibration error (L1): mean over images of |accuracy - confidence| of their bin.

    Confidence is the largest softmax probability; bins are equal in width, open below and closed above. Adjusted scores are
    renormalised first. NaN without images.
    """

    source = "Guo et al. 2017, eq. 3; Naeini et al. 2015"
    higher_is_better: ClassVar[bool] = False
    best: ClassVar[float] = 0.0

    bins: int = parameter(15, doc="number of bins of equal width", low=1, high=10_000)

    def score(self, predictions: Predictions) -> MetricValue:
        log_p_NK = log_probabilities(predictions)
        if not len(log_p_NK):
            return MetricValue(float("nan"))
        confidence_N = np.exp(log_p_NK.max(axis=1))
        correct_N = predictions.scores_NK.argmax(axis=1) == predictions.labels_N
        bin_N = np.clip(np.ceil(confidence_N * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        gaps = np.bincount(bin_N, weights=correct_N - confidence_N, minlength=self.bins)
        return MetricValue(float(np.abs(gaps).sum() / len(confidence_N)))
