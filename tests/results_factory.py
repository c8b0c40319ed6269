"""Suite results with a known truth, made without training: for tests of reports, trackers and the summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmark.identity import canonical, digest
from benchmark.records import CellResult, MetricInfo, SuiteResults

Value = str | int | float | bool | None
CLASSES = ("cat", "dog", "owl")
COUNTS = (20, 200, 200)
METRICS = (MetricInfo("auc", True, "macro one-vs-rest ROC AUC"), MetricInfo("error", False, "share of wrong predictions"))
METHODS: Mapping[str, Mapping[str, Value]] = {
    "none": {"method": "none"},
    "ros": {"method": "ros", "method.ratio": 1.0},
    "thresholding(none)": {"method": "thresholding", "method.base": "none"},
}
GAIN = {"none": 0.0, "ros": 0.02, "thresholding(none)": 0.0}
"""The true difference in AUC to the baseline, the same at every seed up to `NOISE`."""
NOISE = 0.001


def cell(method: Mapping[str, Value], seed: int, *, ratio: float = 10.0, **changes: object) -> CellResult:
    """A finished cell with every field filled; `changes` replace fields."""
    attributes: dict[str, Value] = {"dataset": "digits", "dataset.cap": None, "imbalance": "step", "imbalance.ratio": ratio}
    attributes |= {"imbalance.minority": 0.5, "model": "lenet5", "model.dropout": 0.0, "recipe.batch": 64, **method}
    config_key = digest(canonical(attributes))
    made = CellResult(
        suite="factory",
        key=digest(f"{config_key} {seed}"),
        config_key=config_key,
        attributes=attributes,
        seed=seed,
        status="ok",
        confusion_KK=((6, 3, 1), (1, 8, 1), (0, 0, 10)),
        curve=((100, 1.2), (200, 0.8), (300, 0.5)),
        profile={"seconds.train": 2.0 + seed, "seconds.predict": 0.25, "peak_host_mib": 512.0, "images_per_second": 9600.0},
        class_names=CLASSES,
        class_counts=COUNTS,
        sampled_counts=(200, 200, 200) if method["method"] == "ros" else COUNTS,
        resolved={"dataset": {"digits": {"cap": None}}, "data": {"fingerprint": "f" * 32}},
        context={"device": "cpu", "libraries": {"torch": "2.9.0", "numpy": "2.0.0"}},
        code={"method:" + str(method["method"]): "c" * 32, "operation:train": "d" * 32},
        started=1_700_000_000.0 + seed,
        ended=1_700_000_002.0 + seed,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # the caller names fields


def metrics_of(auc: float) -> dict[str, float]:
    """Metrics as an evaluated cell has them, all following from one AUC."""
    per_class = {f"recall/{name}": auc - 0.1 * index for index, name in enumerate(CLASSES)}
    return {"auc": auc, "error": 1 - auc, "recall": auc - 0.1, "validation.auc": auc, "groups/tail": auc - 0.2, **per_class}


def auc_of(method: str, seed: int, ratio: float) -> float:
    """The truth: 0.9 at ratio 10 and 0.8 at 100, a shift per seed that pairs share, the method's gain and a little noise of its own."""
    base = 0.9 if ratio <= 10 else 0.8
    own = NOISE * math.sin(seed) if method == "ros" else 0.0
    return base + 0.01 * seed + GAIN[method] + own


def results(
    *,
    ratios: Sequence[float] = (10.0, 100.0),
    seeds: int = 3,
    methods: Sequence[str] = tuple(METHODS),
    change: Callable[[CellResult], CellResult] = lambda made: made,
) -> SuiteResults:
    """Ratios x methods x seeds cells in plan order, each passed through `change`."""
    made = [
        cell(METHODS[name], seed, ratio=ratio, metrics=metrics_of(auc_of(name, seed, ratio)), shared_with=1 if name == "ros" else 2)
        for ratio in ratios
        for name in methods
        for seed in range(seeds)
    ]
    return SuiteResults(
        name="factory",
        question="Which method is best?",
        cells=tuple(change(item) for item in made),
        metrics=METRICS,
        show_per_class=("recall",),
        suite_text="suite: factory\n",
        command="skewbench run factory",
    )


def unfinished(made: CellResult, *, status: str = "missing", reason: str = "", log_tail: str = "") -> CellResult:
    """The cell as it stands when it has not finished: nothing measured."""
    blank = {"metrics": {}, "confusion_KK": None, "curve": (), "profile": {}, "started": 0.0, "ended": 0.0}
    return replace(made, status=status, reason=reason, log_tail=log_tail, **blank)  # type: ignore[arg-type]  # fields of the record


def partial(*, share: float = 0.3, seed: int = 0) -> SuiteResults:
    """A suite of which about `share` of the cells have finished, drawn at random."""
    drawn = np.random.default_rng(seed)
    return results(change=lambda made: made if drawn.random() < share else unfinished(made))


def empty() -> SuiteResults:
    """A planned suite of which nothing has run."""
    return results(change=unfinished)
