"""Mean recall of some classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from benchmark.errors import InvalidValue
from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, mean_or_nan, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import parameter, plugin


@plugin("recall_of")
class RecallOf(Metric):
    """Mean recall of the classes with these labels, however many training images they have; those absent from the labels are left out."""

    source = "Irfan & Rehman: how well the three reduced classes stay recognised"
    example: ClassVar[Mapping[str, Any]] = {"classes": [0, 1]}

    classes: tuple[int, ...] = parameter(doc="labels of the classes")

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        if not self.classes or not 0 <= min(self.classes) <= max(self.classes) < len(counts.labelled_K):
            raise InvalidValue(
                f"expected labels from 0 to {len(counts.labelled_K) - 1} in `classes` of recall_of, found {list(self.classes)}."
            )
        chosen = list(self.classes)
        return MetricValue(mean_or_nan(recalls(counts)[chosen][counts.present_K[chosen]]))
