"""Scores from stored predictions: nothing here trains, so a new metric re-scores old runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.arrays import Arrays
from benchmark.identity import as_number, canonical, digest
from benchmark.metrics import Metric
from benchmark.metrics._confusion import confusion
from benchmark.records import MetricInfo, Predictions
from benchmark.registry import parameters_of, plain

SCORING = 1
"""Version of the arithmetic in this file, part of every scoring key (tests/golden/operations.json watches the code)."""


@dataclass(frozen=True)
class Scores:
    """Flat metrics (`auc`, `recall/cat`, `validation.auc`) and the confusion matrix of the test part."""

    metrics: Mapping[str, float]
    confusion_KK: tuple[tuple[int, ...], ...]


def scoring_key(metrics: Sequence[Metric]) -> str:
    """Identity of a set of metrics: their parameters, their code, and the version of the arithmetic here."""
    return digest(canonical([SCORING, sorted([canonical(metric.science), canonical(metric.code)] for metric in metrics)]))


def metric_label(metric: Metric) -> str:
    """The name a metric is stored under: `fbeta`, or `fbeta beta=1.5` where a parameter is not the default (a required one never is)."""
    defaults = {item.name: plain(item.default, identity=True) for item in dataclasses.fields(metric)}
    given = [f"{name}={_text(value)}" for name, value in parameters_of(metric, identity=True).items() if value != defaults[name]]
    return " ".join([metric.name, *given])


def _text(value: Any) -> str:
    """Different for different values, to the last bit of a float; 2.0 reads 2. No slash: what follows one is a class or a part."""
    if isinstance(value, str) and value.isidentifier():
        return value
    return repr(as_number(value)) if isinstance(value, float) else canonical(value).replace("/", "\\u002f")


def metric_infos(metrics: Sequence[Metric]) -> tuple[MetricInfo, ...]:
    """What reports need of the metrics, in the suite's order."""
    return tuple(MetricInfo(metric_label(m), m.higher_is_better, (type(m).__doc__ or "").partition("\n")[0]) for m in metrics)


PARTS = ("test", "validation")


def score(
    arrays: Arrays, metrics: Sequence[Metric], class_names: Sequence[str], class_counts: tuple[int, ...], *, parts: Sequence[str] = PARTS
) -> Scores:
    """Every metric on the test part, and on the validation part where there is one; of `parts` alone. No other part is looked at."""
    found: dict[str, float] = {}
    for part in parts:
        if f"{part}.scores" in arrays:
            prefix = "" if part == "test" else f"{part}."
            predictions = _predictions(arrays, part, class_counts)
            for metric in metrics:
                found.update({prefix + name: value for name, value in _flat(metric, predictions, class_names)})
    matrix = confusion(_predictions(arrays, "test", class_counts)) if "test" in parts else ()
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
