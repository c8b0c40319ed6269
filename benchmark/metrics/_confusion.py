"""The confusion matrix and the counts per class that most metrics rest on. Shape suffix: K classes, N images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.records import MetricValue, Predictions

Floats = NDArray[np.float64]


def checked_scores(predictions: Predictions) -> NDArray[np.float32] | NDArray[np.float64]:
    """The scores; ValueError if a row has NaN or no finite largest score, or a label is no class (minus infinity is probability 0)."""
    scores_NK, labels_N = predictions.scores_NK, predictions.labels_N
    if len(labels_N) != len(scores_NK):
        raise ValueError(f"expected one label for each row of scores, found {len(labels_N)} labels and {len(scores_NK)} rows")
    if len(labels_N) and not (labels_N.min() >= 0 and labels_N.max() < scores_NK.shape[1]):
        raise ValueError(f"expected labels in [0, {scores_NK.shape[1]}), found {labels_N.min()} to {labels_N.max()}")
    bad = ~np.isfinite(scores_NK.max(axis=1))
    if bad.any():
        raise ValueError(f"the scores of {int(bad.sum())} of {len(bad)} images are not finite (the first is image {int(bad.argmax())})")
    return scores_NK


def confusion(predictions: Predictions) -> NDArray[np.int64]:
    """Counts [K, K]: rows are true classes, columns decisions (the largest score; the lowest label among equals)."""
    scores_NK = checked_scores(predictions)
    num_classes = scores_NK.shape[1]
    cells_N = predictions.labels_N * num_classes + scores_NK.argmax(axis=1)
    return np.bincount(cells_N, minlength=num_classes**2).astype(np.int64).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassCounts:
    """What each class's rates are made of."""

    correct_K: Floats
    labelled_K: Floats
    predicted_K: Floats
    total: float

    @property
    def present_K(self) -> NDArray[np.bool_]:
        return self.labelled_K > 0


def class_counts(predictions: Predictions) -> ClassCounts:
    """Correct, labelled and predicted images of each class, as floats."""
    counts_KK = confusion(predictions).astype(np.float64)
    return ClassCounts(counts_KK.diagonal(), counts_KK.sum(axis=1), counts_KK.sum(axis=0), float(counts_KK.sum()))


def ratio(part: Floats, whole: Floats, *, empty: float = np.nan) -> Floats:
    """part / whole, `empty` where the whole is 0."""
    found: Floats = np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0)
    return found


def recalls(counts: ClassCounts) -> Floats:
    """Recall of each class, NaN for a class absent from the labels."""
    return ratio(counts.correct_K, counts.labelled_K)


def f_scores(counts: ClassCounts, beta: float) -> Floats:
    """(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP) of each class; NaN for one neither labelled nor predicted."""
    return ratio((1 + beta**2) * counts.correct_K, beta**2 * counts.labelled_K + counts.predicted_K)


def mean_or_nan(values: Floats) -> float:
    """The mean, NaN (without a warning) of nothing."""
    return float(values.mean()) if values.size else float("nan")


def macro(values_K: Floats, counts: ClassCounts) -> MetricValue:
    """The unweighted mean over the classes present in the labels, and the values themselves."""
    return MetricValue(mean_or_nan(values_K[counts.present_K]), per_class=tuple(values_K.tolist()))
