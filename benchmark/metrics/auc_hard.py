"""ROC AUC of decisions instead of scores."""

from __future__ import annotations

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, mean_or_nan, ratio, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("auc_hard")
class HardAUC(Metric):
    """Mean over classes of the one-vs-rest AUC of the *predicted labels*: (sensitivity + specificity) / 2, which ranks nothing.

    What `roc_auc_score` gives when it is handed predictions in place of probabilities. On K equally large classes with macro recall r it
    is (1 + r - (1 - r) / (K - 1)) / 2: 4/9 + 5/9 r for ten. A class with no positive or no negative label is left out; NaN if all are.
    """

    source = "sklearn.metrics.roc_auc_score on one-hot predictions; probably the AUC of Irfan & Rehman, Table 7"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        false_alarms_K = ratio(counts.predicted_K - counts.correct_K, counts.total - counts.labelled_K)
        areas_K = (recalls(counts) + 1 - false_alarms_K) / 2
        return MetricValue(mean_or_nan(areas_K[~np.isnan(areas_K)]), per_class=tuple(areas_K.tolist()))
