"""One-vs-rest G-mean."""

from __future__ import annotations

import numpy as np

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, macro, ratio, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("gmean_ovr")
class GMeanOneVsRest(Metric):
    """Mean over the classes present in the labels of sqrt(sensitivity_c * specificity_c), each class against all others.

    It can exceed balanced accuracy, as `gmean` cannot. imblearn's average='macro' is neither: it takes one root, sqrt(mean
    sensitivity * mean specificity); its average=None gives our values per class. A class absent from the labels is NaN, and so
    is everything where the labels hold one class only (specificity has no negatives to go by).
    """

    source = "imblearn.metrics.geometric_mean_score, average=None, then the mean"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        negatives_K = counts.total - counts.labelled_K
        false_positives_K = counts.predicted_K - counts.correct_K
        specificities_K = ratio(negatives_K - false_positives_K, negatives_K)
        return macro(np.sqrt(recalls(counts) * specificities_K), counts)
