"""The cells of a suite as the other arms see them: which images, which method, how long.

The data are skewbench's own, so that only engines differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark import registry
from benchmark.draw import draw, resample
from benchmark.evaluate import score, scoring_key
from benchmark.grid import expand
from benchmark.identity import canonical
from benchmark.places import default_folders
from benchmark.plan import Plan, make_plan
from benchmark.spec import Suite, read_suite


@dataclass(frozen=True)
class Work:
    """One cell, reduced to what a script needs."""

    name: str
    seed: int
    train: np.ndarray
    """Rows of the training set after sampling."""
    original: np.ndarray
    """Rows of the imbalanced set before sampling."""
    test: np.ndarray
    labels: np.ndarray
    class_counts: tuple[int, ...]
    thresholds: bool
    two_phase: bool
    iterations: int
    batch: int


def plan_of(path: str, overrides: Sequence[str], seeds: int | None) -> tuple[Suite, Plan]:
    suite = read_suite(path, overrides=overrides, seeds=seeds)
    return suite, make_plan(suite.name, expand(suite), default_folders(suite.path), None, scoring=scoring_key(suite.metrics))


def images_of(plan: Plan) -> np.ndarray:
    """The images of the suite's one data set, uint8 [N, C, H, W]."""
    dataset: Any = registry.build("datasets", plan.cells[0].work.last.chain[0].config["dataset"])
    return np.array(dataset.load(default_folders(None)).images_NCHW)


def work_of(plan: Plan, index: int) -> Work:
    """The rows and settings of a cell, worked out for it alone."""
    planned = plan.cells[index]
    chain = planned.work.last.chain
    config = chain[0].config
    dataset: Any = registry.build("datasets", config["dataset"])
    imbalance: Any = registry.build("imbalances", config["imbalance"])
    folders = default_folders(None)
    split = draw(dataset, dataset.info(folders), dataset.load(folders), imbalance, config["seed"])
    train = split.train
    if config["sampled"] is not None:
        parts = (canonical(config["dataset"]), canonical(config["imbalance"]), config["seed"])
        train = train[resample(split.labels_N[train], tuple(config["sampled"]), *parts)]
    ops = [stage.op for stage in chain]
    return Work(
        canonical(planned.cell.config.method.doc), config["seed"], train, split.train, split.test, split.labels_N,
        tuple(config["class_counts"]), "adjust" in ops, "finetune" in ops, config["steps"], config["recipe"]["batch"],
    )  # fmt: skip


def rate(step: int, base: float = 0.01) -> float:
    """Caffe's inv schedule, as in the suite."""
    return base * (1 + 1e-4 * step) ** -0.75


def metrics_of(suite: Suite, work: Work, scores: np.ndarray) -> dict[str, float]:
    """The suite's metrics, computed by the same code in every arm."""
    labels = work.labels[work.test]
    names = [str(c) for c in range(len(work.class_counts))]
    return dict(score({"test.scores": scores, "test.labels": labels}, suite.metrics, names, work.class_counts).metrics)
