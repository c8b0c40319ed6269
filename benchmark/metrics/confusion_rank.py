"""How prominent a confusion within a group of classes is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from benchmark.errors import InvalidValue
from benchmark.metrics import Metric
from benchmark.metrics._confusion import confusion
from benchmark.records import MetricValue, Predictions
from benchmark.registry import parameter, plugin


@plugin("confusion_rank")
class ConfusionRank(Metric):
    """Rank, among all rates at which one class is taken for another (1: the largest), of the most frequent confusion within a group.

    A rate is the share of a class's images; equal rates share the better rank. NaN where no class of the group is in the labels.
    """

    source = "Irfan & Rehman, Figures 2 and 3: which classes are confused"
    higher_is_better = False
    example: ClassVar[Mapping[str, Any]] = {"classes": [0, 1]}

    classes: tuple[int, ...] = parameter(doc="labels of the classes that are taken for each other, two or more")

    def score(self, predictions: Predictions) -> MetricValue:
        counts_KK = confusion(predictions).astype(np.float64)
        num_classes = len(counts_KK)
        if len(set(self.classes)) < 2 or not 0 <= min(self.classes) <= max(self.classes) < num_classes:
            raise InvalidValue(f"expected two or more labels from 0 to {num_classes - 1} in `classes`, found {list(self.classes)}.")
        totals_K = counts_KK.sum(axis=1)
        rates_KK = np.full_like(counts_KK, np.nan)
        np.divide(counts_KK, totals_K[:, None], out=rates_KK, where=totals_K[:, None] > 0)
        np.fill_diagonal(rates_KK, np.nan)
        group = rates_KK[np.ix_(self.classes, self.classes)]
        if np.isnan(group).all():
            return MetricValue(float("nan"))
        return MetricValue(float(1 + (rates_KK > np.nanmax(group)).sum()))
