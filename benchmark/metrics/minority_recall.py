"""Recall of the classes that the imbalance made rare."""

from __future__ import annotations

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, mean_or_nan, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("minority_recall")
class MinorityRecall(Metric):
    """Mean recall of the classes with fewer training images than the most frequent one (after the imbalance, before sampling).

    Of a step imbalance these are the minority classes, of a linear one all classes but one. Classes absent from the labels are left
    out; NaN where all classes are equally frequent.
    """

    source = "Buda et al. 2018, section 3.1: minority classes; the digest's recall_minority"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        training_K = np.asarray(predictions.class_counts)
        minority_K = training_K < training_K.max()
        return MetricValue(mean_or_nan(recalls(counts)[minority_K & counts.present_K]))
