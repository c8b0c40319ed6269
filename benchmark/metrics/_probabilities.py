"""Log-probabilities from scores, accurate next to probability 1. Shape suffix: N images, K classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics._confusion import Floats, checked_scores
from benchmark.records import Predictions


def log_softmax(scores_NK: NDArray[np.float32] | NDArray[np.float64]) -> Floats:
    """Log-softmax in float64; log1p over the other classes keeps log p = -1e-30 apart from 0, so confident images do not tie."""
    shifted_NK = scores_NK.astype(np.float64)
    top_N1 = shifted_NK.argmax(axis=1)[:, None]
    shifted_NK -= np.take_along_axis(shifted_NK, top_N1, axis=1)
    others_NK = np.exp(shifted_NK)
    np.put_along_axis(others_NK, top_N1, 0.0, axis=1)
    normalised_NK: Floats = shifted_NK - np.log1p(others_NK.sum(axis=1, keepdims=True))
    return normalised_NK


def log_probabilities(predictions: Predictions) -> Floats:
    """Normalised log-probabilities of stored scores, those of adjusted scores included."""
    return log_softmax(checked_scores(predictions))
