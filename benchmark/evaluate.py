"""Scores from stored predictions: nothing here trains, so a new metric re-scores old runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.arrays import Arrays
from benchmark.identity import canonical, digest
from benchmark.metrics import Metric
from benchmark.metrics._confusion import confusion
from benchmark.records import MetricInfo, Predictions
from benchmark.registry import parameters_of


@dataclass(frozen=True)
class Scores:
    """Flat metrics (`auc`, `recall/cat`, `validation.auc`) and the confusion matrix of the test part."""

    metrics: Mapping[str, float]
    confusion_KK: tuple[tuple[int, ...], ...]


def scoring_key(metrics: Sequence[Metric]) -> str:
    """Identity of a set of metrics: their parameters and their code."""
    return digest(canonical(sorted([metric.text, canonical(metric.code)] for metric in metrics)))


def metric_label(metric: Metric) -> str:
    """The name a metric is stored under: `fbeta`, or `fbeta beta=1.5` where a parameter is not the default."""
    defaults = parameters_of(type(metric)())
    given = [f"{name}={value:g}" for name, value in parameters_of(metric).items() if value != defaults[name]]
    return " ".join([metric.name, *given])


def metric_infos(metrics: Sequence[Metric]) -> tuple[MetricInfo, ...]:
    """What reports need of the metrics, in the suite's order."""
    return tuple(MetricInfo(metric_label(m), m.higher_is_better, (type(m).__doc__ or "").partition("\n")[0]) for m in metrics)


def score(arrays: Arrays, metrics: Sequence[Metric], class_names: Sequence[str], class_counts: tuple[int, ...]) -> Scores:
    """Every metric on the test part, and on the validation part where there is one."""
    found: dict[str, float] = {}
    for part in ("test", "validation"):
        if f"{part}.scores" in arrays:
            prefix = "" if part == "test" else f"{part}."
            predictions = _predictions(arrays, part, class_counts)
            for metric in metrics:
                found.update({prefix + name: value for name, value in _flat(metric, predictions, class_names)})
    matrix = confusion(_predictions(arrays, "test", class_counts))
    return Scores(found, tuple(tuple(map(int, row)) for row in matrix))


def _predictions(arrays: Arrays, part: str, class_counts: tuple[int, ...]) -> Predictions:
    scores_NK: NDArray[Any] = arrays[f"{part}.scores"]
    return Predictions(scores_NK, arrays[f"{part}.labels"].astype(np.int64), class_counts)


def _flat(metric: Metric, predictions: Predictions, class_names: Sequence[str]) -> Iterator[tuple[str, float]]:
    label = metric_label(metric)
    value = metric.score(predictions)
    yield label, value.value
    if value.per_class is not None:
        yield from ((f"{label}/{name}", number) for name, number in zip(class_names, value.per_class, strict=True))
    yield from ((f"{label}/{part}", number) for part, number in value.parts.items())
