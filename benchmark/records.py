"""The values that pass between modules: all frozen, all in one place.

Shape suffixes: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["ok", "failed", "skipped", "blocked", "missing"]
"""How a cell ended; `missing`: not run yet."""


@dataclass(frozen=True)
class Folders:
    """Where data and caches are: `data` is searched in order, `cache` is ours to write."""

    data: tuple[Path, ...]
    cache: Path
    suite: Path | None = None
    """The folder of the suite file: relative image folders are looked for here first."""


@dataclass(frozen=True)
class Images:
    """A data set in memory or memory-mapped: the first `num_train` rows are its own training part, the rest its test part."""

    images_NCHW: NDArray[np.uint8]
    labels_N: NDArray[np.int64]
    num_train: int
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class DatasetInfo:
    """What planning needs of a data set, without its pixels. Counts are per class in label order."""

    fingerprint: str
    """Digest of the content: the same bytes of images and labels give the same fingerprint on any machine."""
    shape: tuple[int, int, int]
    """Channels, height, width of an image."""
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    """All zero where the data set has no test part of its own and must be split."""


@dataclass(frozen=True)
class Problem:
    """What a method may know: the training set's class counts after the imbalance and the budget. Never the test set."""

    class_counts: tuple[int, ...]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    iterations: int
    """Training steps for the set before the method's own sampling."""
    batch: int
    label_smoothing: float = 0.0

    @property
    def num_classes(self) -> int:
        return len(self.class_counts)


@dataclass(frozen=True)
class Predictions:
    """Stored outputs of one trained model on one split. `labels_N` int64 in [0, K)."""

    scores_NK: NDArray[np.float32] | NDArray[np.float64]
    """Log-probabilities (float32), or log-probabilities minus a constant per class (float64: near p = 1 a float32 would tie them).

    The largest of a row is the decision. Each column ranks the images for its class as it stands: never renormalise for a ranking.
    What needs probabilities (calibration, likelihood) renormalises with softmax.
    """
    labels_N: NDArray[np.int64]
    class_counts: tuple[int, ...]
    """Training counts after the imbalance and before any sampling: what head, medium and tail go by."""


@dataclass(frozen=True)
class MetricValue:
    """One metric's result: the headline number, and where it has them, a number per class and named parts."""

    value: float
    per_class: tuple[float, ...] | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricInfo:
    """What a report needs to know of a metric's direction and words."""

    name: str
    higher_is_better: bool
    summary: str


@dataclass(frozen=True)
class CellResult:
    """All that reports and trackers see of one cell. Filled from the ledger, or read back from the tracker."""

    suite: str
    key: str
    """Identity of the cell (science and code), 32 hexadecimal digits."""
    config_key: str
    """Identity of its configuration: the cell without its seed. Cells that differ only in the seed share it."""
    attributes: Mapping[str, str | int | float | bool | None]
    """Flat and dotted: dataset, dataset.cap, imbalance, imbalance.ratio, method, method.base, model, recipe.batch, …; no seed."""
    seed: int
    status: Status
    reason: str = ""
    """Of a failed, skipped or blocked cell: the kind and the message, or the rule."""
    log_tail: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On the test part: `auc`; a class or a part after the first slash: `recall/cat`, `groups/tail`. On validation: `validation.auc`."""
    confusion_KK: tuple[tuple[int, ...], ...] | None = None
    """Rows are true classes, columns predicted ones, on the test part."""
    curve: tuple[tuple[int, float], ...] = ()
    """(iteration, training loss averaged since the point before)."""
    profile: Mapping[str, float] = field(default_factory=dict)
    """`seconds.train`, `seconds.predict`, …, `peak_host_mib`, `peak_device_mib`, `images_per_second`, `parameters`. Units in the names."""
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    """Training counts after the imbalance, in label order."""
    sampled_counts: tuple[int, ...] = ()
    """Training counts after the method's sampling."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """The cell in full: every default filled in, data fingerprint included. JSON."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Where it was computed: device, host, threads, library versions, code version. JSON."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Code keys by component: `method:ros`, `operation:train`, …"""
    shared_with: int = 1
    """How many cells of the suite rest on the same trained network, this one included."""
    started: float = 0.0
    ended: float = 0.0
    """Unix seconds."""

    @property
    def method(self) -> str:
        return str(self.attributes.get("method", ""))


@dataclass(frozen=True)
class SuiteResults:
    """A suite and what is known of its cells, partial or whole: the input of reports and trackers."""

    name: str
    question: str
    cells: tuple[CellResult, ...]
    """Every planned cell, `missing` and `skipped` ones included, in plan order."""
    metrics: tuple[MetricInfo, ...]
    """Those that the suite asks for, in its order; the first is the main one."""
    show_per_class: tuple[str, ...] = ()
    baseline: str = "none"
    """The method against which paired differences are taken."""
    suite_text: str = ""
    command: str = ""
    """The command that made or would make these results."""
