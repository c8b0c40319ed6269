"""The values that pass between modules, all frozen; those of a study's claims stand in `benchmark.evidence`.

Shape suffixes: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmark.evidence import ClaimResult, ReferenceResult, Selection

if TYPE_CHECKING:
    from benchmark.moments import Series

Status = Literal["ok", "failed", "skipped", "blocked", "missing"]
"""How a cell ended; `missing`: not run yet."""
Attribute = str | int | float | bool | None
"""Value of a cell's attribute: a plug-in's name or a parameter."""


@dataclass(frozen=True)
class Folders:
    """Where data and caches are: `data` is searched in order, `cache` is ours to write."""

    data: tuple[Path, ...]
    cache: Path
    suite: Path | None = None
    """The folder of the suite file: relative image folders are looked for here first."""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON, for another process."""
        suite = str(self.suite.resolve()) if self.suite else None
        return {"data": [str(folder.resolve()) for folder in self.data], "cache": str(self.cache.resolve()), "suite": suite}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Folders:
        suite = document["suite"]
        return cls(tuple(map(Path, document["data"])), Path(document["cache"]), Path(suite) if suite else None)


@dataclass(frozen=True)
class Images:
    """A data set in memory or memory-mapped: the first `num_train` rows are its own training part, the rest its test part."""

    images_NCHW: NDArray[np.uint8]
    labels_N: NDArray[np.int64]
    num_train: int
    class_names: tuple[str, ...]


class Decoder(Protocol):
    """From an image file to pixels. It is pickled and sent to other processes: a frozen dataclass of a module that they can import."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width of what it gives."""

    @property
    def draws(self) -> int:
        """How many random numbers an image takes in training; 0 where nothing about it is random."""

    def __call__(self, path: str, draws: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
        """uint8 [C, H, W]: with random numbers in [0, 1) as in training, without as in testing. DataError that names a broken file."""


@dataclass(frozen=True)
class StreamedImages:
    """A data set that stays on disk, too large for memory: an image is decoded each time it is needed. Rows are in order as in `Images`."""

    paths: Sequence[str]
    labels_N: NDArray[np.int64]
    num_train: int
    class_names: tuple[str, ...]
    decoder: Decoder
    workers: int | None = None
    """Processes that decode; 0: the one that trains does it itself, None: as many as the machine has room for."""


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
    history: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    """What the recipe's `monitor` saw while training: (iteration, value) of `train.accuracy`, `test.accuracy`. Empty without it."""
    profile: Mapping[str, float] = field(default_factory=dict)
    """As it ran, beside other stages and shared with other cells: `seconds.train`, `seconds.predict`, …, `peak_host_mib`, `parameters`,
    `macs`. Units in the names; flags (`contended`, `throttled`) are 0 or 1. Never a method's own cost."""
    solo: Mapping[str, float] = field(default_factory=dict)
    """The configuration measured alone (`run --profile`): what time and memory tables show. See benchmark.execute.measure."""
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

    def value(self, metric: str) -> float:
        """A metric, or with `profile.` before it a figure of the profile; NaN where there is none."""
        name = metric.removeprefix(PROFILE)
        return (self.metrics if name == metric else self.profile).get(name, math.nan)


PROFILE = "profile."
PROFILED = {
    "seconds.train": False,
    "seconds.predict": False,
    "cpu_seconds.train": False,
    "cpu_seconds.predict": False,
    "ms_per_image.train": False,
    "base_seconds": False,
    "peak_host_mib": False,
    "own_host_mib": False,
    "peak_device_mib": False,
    "images_per_second": True,
    "inference_images_per_second": True,
    "parameters": False,
    "macs": False,
}
"""Figures of a profile that claims and references may be about, and whether more of them is better. As they ran, beside other work."""
DERIVED = ("train_test_gap", "gap_growth", "test_accuracy_sd")
"""Metrics that come from a training's history, where the recipe monitors it."""


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
    account: Mapping[str, Any] = field(default_factory=dict)
    """What the last run was expected to take and what it took: `planned` and `spent`. JSON; empty where nothing is known."""
    select: Selection | None = None
    claims: tuple[ClaimResult, ...] = ()
    references: tuple[ReferenceResult, ...] = ()
    timeline: tuple[Series, ...] = ()
    """How the configurations went over commits and dates, with their change points; filled for reports."""
