"""Recall of frequent and rare classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics import Metric
from benchmark.metrics._confusion import class_counts, mean_or_nan, recalls
from benchmark.records import MetricValue, Predictions
from benchmark.registry import plugin


@plugin("groups")
class Groups(Metric):
    """Mean recall of groups of classes by training count (after the imbalance, before sampling); the value is that of the tail.

    Thirds by rank: `head` and `tail` have round(K / 3) classes each, `medium` the rest; equal counts are ranked by label.
    By shots: `many` above 100 training images, `midshot` 20 to 100, `few` below 20. Classes absent from the labels are left out;
    a group without any class is NaN, never 0.
    """

    source = "facebookresearch/classifier-balancing, utils.py, shot_acc (which gives 0 for an empty group)"

    def score(self, predictions: Predictions) -> MetricValue:
        counts = class_counts(predictions)
        recalls_K = recalls(counts)
        members = _members(np.asarray(predictions.class_counts))
        parts = {name: mean_or_nan(recalls_K[member_K & counts.present_K]) for name, member_K in members.items()}
        return MetricValue(parts["tail"], parts=parts)


def _members(training_K: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    rank_K = np.empty(len(training_K), dtype=np.int64)
    rank_K[np.argsort(-training_K, kind="stable")] = np.arange(len(training_K))
    third = round(len(training_K) / 3)
    head_K, tail_K = rank_K < third, rank_K >= len(training_K) - third
    many_K, few_K = training_K > 100, training_K < 20
    return {
        "head": head_K, "medium": ~head_K & ~tail_K, "tail": tail_K,
        "many": many_K, "midshot": ~many_K & ~few_K, "few": few_K,
    }  # fmt: skip
