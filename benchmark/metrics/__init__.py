"""Contract of a metric: a function of stored predictions, so that a new one re-scores old runs without training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from benchmark.records import MetricValue, Predictions
from benchmark.registry import Plugin


@dataclass(frozen=True, kw_only=True)
class Metric(Plugin, ABC):
    """A score. Undefined values are NaN, never a silent 0; macro averages are over the classes present in the labels."""

    kind: ClassVar[str] = "metrics"
    higher_is_better: ClassVar[bool] = True
    best: ClassVar[float] = 1.0
    """The value of perfect predictions."""

    @abstractmethod
    def score(self, predictions: Predictions) -> MetricValue:
        """The metric on these predictions. The order of the samples must not matter."""
