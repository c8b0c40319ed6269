"""Suite results with a known truth, made without training: for tests of reports, trackers and the summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmark.evidence import ClaimResult, Effect, ReferenceResult
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


STUDY_METRICS = (METRICS[0], MetricInfo("accuracy", True, "share of right predictions"))
STUDY_METHODS: Mapping[str, Mapping[str, Value]] = {
    "none": {"method": "none"},
    "ros": {"method": "ros", "method.ratio": 1.0},
    "rus": {"method": "rus", "method.ratio": 1.0},
    "two-phase(ros)": {"method": "two-phase", "method.base": "ros", "method.base.ratio": 1.0},
    "thresholding(none)": {"method": "thresholding", "method.base": "none"},
}
RATIOS, MINORITIES = (10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0), (0.2, 0.5, 0.8)
LADDER = (1.0, 2.5, 10.0, 50.0, 250.0)
HELP = {"none": 0.0, "ros": 0.6, "rus": -0.3, "two-phase": 0.4, "thresholding": 0.0}
"""The share of the loss to imbalance that a method takes away."""
FULL = 0.99
"""The untreated method's true AUC on the full set."""


def study_auc(attributes: Mapping[str, Value], seed: int) -> float:
    """The truth: a loss that grows with log ratio and with the minority fraction, less what the method takes away; noise by seed."""
    noise = 0.004 * math.sin(7 * seed + len(str(attributes["method"])))
    if attributes["imbalance"] == "none":
        return FULL + noise
    ratio, minority = float(attributes["imbalance.ratio"] or 1), float(attributes.get("imbalance.minority") or 0.3)
    help_ = HELP[str(attributes["method"])] / (1 + 0.1 * math.log10(float(attributes.get("method.ratio") or 1)))
    return FULL - 0.08 * math.log10(ratio) * minority * (1 - help_) + noise


def study_cell(method: Mapping[str, Value], seed: int, imbalance: Mapping[str, Value]) -> CellResult:
    """A finished cell under any imbalance, its metrics and its history following from `study_auc`."""
    made = cell(method, seed)
    attributes = {key: value for key, value in made.attributes.items() if not key.startswith("imbalance")} | dict(imbalance)
    auc = study_auc(attributes, seed)
    history = {
        f"{part}.accuracy": tuple((at, top - 0.5 * math.exp(-at / 300)) for at in range(100, 1001, 50))
        for part, top in (("train", min(1.0, auc + 0.01)), ("test", auc - 0.1))
    }
    config_key = digest(canonical(attributes))
    metrics = {"auc": auc, "accuracy": auc - 0.1}
    return replace(made, attributes=attributes, config_key=config_key, key=digest(f"{config_key} {seed}"), metrics=metrics, history=history)


def study(
    *,
    ratios: Sequence[float] = RATIOS,
    minorities: Sequence[float] = MINORITIES,
    seeds: int = 3,
    ladder: Sequence[float] = (),
    change: Callable[[CellResult], CellResult] = lambda made: made,
) -> SuiteResults:
    """Step and linear imbalances and the full set x methods x seeds; `ladder`: remaining ratios of ros and rus at the largest ratio."""
    steps = [{"imbalance": "step", "imbalance.ratio": r, "imbalance.minority": m} for m in minorities for r in ratios]
    linear = [{"imbalance": "linear", "imbalance.ratio": r} for r in ratios]
    places: list[tuple[Mapping[str, Value], Mapping[str, Value]]]
    places = [(method, imbalance) for imbalance in (*steps, *linear) for method in STUDY_METHODS.values()]
    places += [(STUDY_METHODS["none"], {"imbalance": "none"})]
    places += [
        ({"method": name, "method.ratio": left}, imbalance)
        for imbalance in steps
        if imbalance["imbalance.ratio"] == max(ratios)
        for name in ("ros", "rus")
        for left in ladder
        if left > 1
    ]
    made = [study_cell(method, seed, imbalance) for method, imbalance in places for seed in range(seeds)]
    return replace(results(ratios=()), cells=tuple(map(change, made)), metrics=STUDY_METRICS, show_per_class=())


def claims(*, text: str = "") -> tuple[ClaimResult, ...]:
    """A claim of each verdict; `text` is added to every text that a suite's author writes."""

    def effects(*means: float, relation: str = "ros >= none - 0.002") -> tuple[Effect, ...]:
        held = [mean >= -0.002 if ">" in relation else abs(mean) < 0.01 for mean in means]
        pairs = enumerate(zip(means, held, strict=True))
        return tuple(Effect(f"step ratio={10 ** (at + 1)}", relation, m, m - 0.004, m + 0.004, 5 - at, holds) for at, (m, holds) in pairs)

    def claim(id_: str, says: str, **rest: object) -> ClaimResult:
        place = {"source": f"Buda et al. 2018, § 4.1{text}", "expected": f"ros >= none - 0.002 in every condition{text}", "metric": "auc"}
        return ClaimResult(id=id_, says=says + text, **{**place, **rest})  # type: ignore[arg-type]  # the caller names fields

    nothing = Effect("step ratio=10", "ros < rus", math.nan, math.nan, math.nan, 0, holds=False)
    return (
        claim("B05", "Oversampling never clearly hurts", verdict="supported", p=0.0004, effects=effects(0.03, 0.021, 0.005)),
        claim("B06", "Oversampling is the best of all methods", verdict="contradicted", p=0.031, effects=effects(0.02, -0.0123)),
        claim(
            "B10", "Undersampling does not depend on the minority fraction", verdict="inconclusive", p=0.42, note=f"8 more seeds{text}",
            effects=effects(-0.003, relation="rus = rus within 0.01"),
        ),
        claim("B18", "Undersampling falls linearly", verdict="not tested", note=f"nothing measured{text}", effects=(nothing,)),
        claim("B31", "On ILSVRC nothing beats the baseline", verdict="not tested", note=f"no data{text}"),
    )  # fmt: skip


def references(*, text: str = "") -> tuple[ReferenceResult, ...]:
    """Published numbers of each kind: comparable, not comparable, not measured, only in a figure."""

    def reference(id_: str, published: float | None, **rest: object) -> ReferenceResult:
        place = {"where": f"none under step ratio=10{text}", "metric": "auc", "source": f"Table 4{text}"}
        return ReferenceResult(id=id_, published=published, **{**place, **rest})  # type: ignore[arg-type]  # the caller names fields

    return (
        reference("T4a", 0.9941, measured=0.9871, half_width=0.0042, num=5),
        reference("T4b", 0.9631, measured=0.91, half_width=0.01, num=3, comparable=False, note=f"other data and recipe{text}"),
        reference("T4c", 0.9074, comparable=False, note=f"ILSVRC is not here{text}"),
        reference("F3", None, measured=0.95, half_width=math.nan, num=1, note=text.strip()),
    )
