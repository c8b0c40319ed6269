"""What a run says: parameters, tags, metrics, inputs and times of a cell and of a configuration. Pure: no MLflow, no disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.records import CellResult
from trackers.inputs import Input, configuration_inputs, inputs_of, ratio_of
from trackers.location import redact
from trackers.names import MAX_TAG, cut, metric_key, result_key, value_text

LAYOUT = 2
"""Part of every digest: raise it when runs are to be written anew because their layout changed."""
MAX_CLASS_METRICS = 20
"""With more classes than this, numbers per class stand in the artifact `cell.json` only."""
CURVE = "train_loss"
OF_THE_SELECTION = ("shared_with",)
"""Fields of a cell that follow from which other cells are meant: never written, or every `--only` would write all runs anew."""
Ending = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class RunContent:
    """One run as it should stand. Times in milliseconds; 0: not known."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """Finite values only."""
    series: Mapping[str, tuple[tuple[int, float], ...]]
    """Metrics with steps, by key: (step, value), finite values only."""
    status: Ending
    """MLflow's word for how it ended."""
    start_ms: int
    end_ms: int
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What of a suite decides what its runs show."""

    headline: tuple[str, ...] = ()
    """Metrics that the suite asks for."""
    per_class: tuple[str, ...] = ()
    """Metrics of which each class's number is a metric of its own."""
    claims: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Ids of the claims that a configuration has a part in, by its key."""


def content_digest(content: CellResult | RunContent, *beside: object) -> str:
    """Changes whenever anything that the tracker shows of it changes; `beside`: what else the run follows from."""
    values = [getattr(content, item.name) for item in dataclasses.fields(content) if item.name not in OF_THE_SELECTION]
    text = json.dumps([LAYOUT, values, *beside], sort_keys=True, default=_as_json, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cell_digest(cell: CellResult, shown: Shown | None = None, extras: Sequence[str] = ()) -> str:
    """That of a cell, then words for all else that its run is to have: what its suite shows of it, where that is given, and files beyond
    the usual ones (`models`, `predictions`)."""
    words = list(extras)
    if shown is not None:
        text = json.dumps([shown.headline, shown.per_class, shown.claims.get(cell.config_key, ())])
        words.append(f"shown:{hashlib.sha256(text.encode()).hexdigest()[:8]}")
    return " ".join([_own_digest(cell), *sorted(words)])


_own: dict[int, str] = {}
"""By the id of a record that lives."""


def _own_digest(cell: CellResult) -> str:
    """Worked out once: a sync asks for it five times, and a record never changes."""
    known = _own.get(id(cell))
    if known is None:
        known = _own[id(cell)] = content_digest(cell)
        weakref.finalize(cell, _own.pop, id(cell)).atexit = False
    return known


def covers(there: str, wanted: str) -> bool:
    """Whether what stands there is all that is wanted: the same content, and at least these words."""
    (have, *words), (want, *more) = there.split(" "), wanted.split(" ")
    return have == want and set(more) <= set(words)


def _as_json(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return dict(value) if isinstance(value, Mapping) else str(value)


def ending(cell: CellResult) -> Ending:
    """FAILED: the cell's own doing, or that of what it rests on. KILLED: stopped from outside, by a limit or by a rule of the suite."""
    if cell.status == "ok":
        return "FINISHED"
    return "KILLED" if cell.status == "skipped" or cell.reason.startswith(("killed", "timeout")) else "FAILED"


def cell_content(cell: CellResult, shown: Shown) -> RunContent:
    """The child run of one seed."""
    measured = {result_key(name): value for name, value in cell.metrics.items() if not _left_to_artifact(name, cell, shown)}
    measured |= {metric_key(f"profile/{name}"): value for name, value in cell.profile.items()} | _of_the_data(cell)
    finite = {key: float(value) for key, value in measured.items() if math.isfinite(value)}
    return RunContent(
        name=cut(f"seed {cell.seed} · {label(cell)}", 250),
        params={**_params(cell), "seed": str(cell.seed)},
        tags=_tags(cell) | _outcome(cell, not_finite=sorted(measured.keys() - finite.keys())),
        metrics=finite,
        series=_series(cell),
        status=ending(cell),
        start_ms=round(cell.started * 1000),
        end_ms=round(cell.ended * 1000),
        inputs=inputs_of(cell),
    )


def running_content(cell: CellResult, since: float, shown: Shown) -> RunContent:
    """The child run of a cell that is at work since then (Unix seconds)."""
    return _running(cell_content(dataclasses.replace(cell, status="missing"), shown), since)


def running_configuration(cell: CellResult, since: float, shown: Shown) -> RunContent:
    """The parent run of a configuration of which nothing has ended yet."""
    content = configuration_content([cell], shown, planned=1)
    return _running(dataclasses.replace(content, metrics={}), since)


def _running(content: RunContent, since: float) -> RunContent:
    tags = {key: value for key, value in content.tags.items() if not key.startswith("bench.seeds_")}
    return dataclasses.replace(content, tags={**tags, "bench.status": "running"}, status="RUNNING", start_ms=round(since * 1000))


def _series(cell: CellResult) -> dict[str, tuple[tuple[int, float], ...]]:
    found = {CURVE: cell.curve, **{metric_key(f"history/{name}"): points for name, points in cell.history.items()}}
    finite = {key: tuple((step, value) for step, value in points if math.isfinite(value)) for key, points in found.items()}
    return {key: points for key, points in finite.items() if points}


def _of_the_data(cell: CellResult) -> dict[str, float]:
    """As metrics, since MLflow compares parameters as texts: `metrics.``data/imbalance_ratio`` >= 100`."""
    ratio = ratio_of(cell.class_counts)
    return {"data/train_images": float(sum(cell.class_counts)), "data/imbalance_ratio": ratio} if math.isfinite(ratio) else {}


def configuration_content(cells: Sequence[CellResult], shown: Shown, *, planned: int) -> RunContent:
    """The parent run: mean, sd (n - 1), n and half-width of the 95 % t interval over the seeds that ended well."""
    first, done = cells[0], [cell for cell in cells if cell.status == "ok"]
    metrics: dict[str, float] = _of_the_data(first)
    for name in shown.headline:
        metrics |= _aggregate(result_key(name), [cell.metrics.get(name, math.nan) for cell in done])
    for name in sorted({name for cell in done for name in cell.profile}):
        over_seeds = _aggregate(metric_key(f"profile/{name}"), [cell.profile.get(name, math.nan) for cell in done])
        metrics |= {key: value for key, value in over_seeds.items() if key.endswith(".mean")}
    return RunContent(
        name=label(first),
        params=_params(first),
        tags=_filters(first, level="configuration") | _over_seeds(cells, planned) | _claims(first, shown),
        metrics=metrics,
        series={},
        status="FINISHED" if done else "KILLED" if {ending(cell) for cell in cells} == {"KILLED"} else "FAILED",
        start_ms=round(min((cell.started for cell in cells if cell.started), default=0.0) * 1000),
        end_ms=round(max(cell.ended for cell in cells) * 1000),
        inputs=configuration_inputs(first),
    )


def _over_seeds(cells: Sequence[CellResult], planned: int) -> dict[str, str]:
    """How the seeds ended, and where they were computed."""
    number = {status: sum(cell.status == status for cell in cells) for status in ("ok", "skipped")}
    failed = len(cells) - sum(number.values())
    status = ("ok" if number["ok"] == planned else "partial") if number["ok"] else "failed" if failed else "skipped"
    counts = {"ok": number["ok"], "failed": failed, "planned": planned} | ({"skipped": number["skipped"]} if number["skipped"] else {})
    tags = {"bench.status": status} | {f"bench.seeds_{key}": str(value) for key, value in counts.items()}
    for name in CONTEXT:
        found = sorted({str(cell.context[name]) for cell in cells if cell.context.get(name) is not None})
        tags |= {f"bench.{name}": redact(cut(", ".join(found), MAX_TAG))} if found else {}
    return tags


def _claims(cell: CellResult, shown: Shown) -> dict[str, str]:
    """`[B01] [B07a]`: in brackets, so that a search for B1 does not find B12."""
    ids = shown.claims.get(cell.config_key, ())
    return {"bench.claims": cut(" ".join(f"[{id_}]" for id_ in ids), MAX_TAG)} if ids else {}


def label(cell: CellResult) -> str:
    """What a person calls the configuration: `ros(ratio=1) · step(ratio=10) · digits · lenet5`. The rest is in the parameters."""
    parts = [_part(cell, axis) for axis in ("method", "imbalance")]
    return cut(" · ".join([*parts, *(value_text(cell.attributes.get(axis, "?")) for axis in ("dataset", "model"))]), 230)


def _part(cell: CellResult, axis: str) -> str:
    """With its parameters, but for those that are off."""
    own = {key.removeprefix(f"{axis}."): value for key, value in cell.attributes.items() if key.startswith(f"{axis}.")}
    inside = ", ".join(f"{key}={value_text(value)}" for key, value in own.items() if value is not None and value is not False)
    name = value_text(cell.attributes.get(axis, "?"))
    return f"{name}({inside})" if inside else name


def _params(cell: CellResult) -> dict[str, str]:
    """Those that say something: a parameter that is not set is left out."""
    return {metric_key(name): value_text(value) for name, value in cell.attributes.items() if value is not None}


CONTEXT = ("host", "device", "code_version")


def _filters(cell: CellResult, *, level: str) -> dict[str, str]:
    """The tags by which a person filters, the same on both levels."""
    tags = {"bench.level": level, "bench.suite": cell.suite, "bench.config_key": cell.config_key, "mlflow.source.name": "skewbench"}
    return tags | {f"bench.{axis}": value_text(cell.attributes.get(axis)) for axis in ("dataset", "imbalance", "method", "model")}


def _tags(cell: CellResult) -> dict[str, str]:
    tags = _filters(cell, level="cell") | {"bench.cell_key": cell.key, "bench.seed": str(cell.seed), "bench.current": "true"}
    context = {name: cell.context[name] for name in CONTEXT if cell.context.get(name) is not None}
    return {key: redact(cut(value, MAX_TAG)) for key, value in (tags | {f"bench.{k}": str(v) for k, v in context.items()}).items()}


def _outcome(cell: CellResult, *, not_finite: Sequence[str]) -> dict[str, str]:
    tags: dict[str, str] = {"bench.status": cell.status}
    if not_finite:
        tags["bench.not_finite"] = cut(", ".join(not_finite), MAX_TAG)
    if cell.status not in ("ok", "missing"):
        tags["bench.reason"] = cut(redact(cell.reason) or "no reason given", MAX_TAG)
        tags["mlflow.note.content"] = cut(f"**{cell.status}**: {tags['bench.reason']}", MAX_TAG)
    return tags


def _left_to_artifact(name: str, cell: CellResult, shown: Shown) -> bool:
    """A class's number, unless the suite asks for each class and there are few. Parts that are no classes (`groups/tail`) stay."""
    metric, _, part = name.partition("/")
    is_shown = len(cell.class_names) <= MAX_CLASS_METRICS and metric.removeprefix("validation.") in shown.per_class
    return part in cell.class_names and bool(part) and not is_shown


def _aggregate(key: str, values: Sequence[float]) -> dict[str, float]:
    """`n` counts the seeds at which the metric is finite; spread and interval need two."""
    finite = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    num = len(finite)
    if num < 2:
        return {f"{key}.n": float(num)} | ({f"{key}.mean": float(finite[0])} if num else {})
    from scipy.special import stdtrit  # here: the digest is asked for on every run, this is not

    deviation = float(finite.std(ddof=1))
    half_width = float(stdtrit(num - 1, 0.975)) * deviation / math.sqrt(num)
    return {f"{key}.mean": float(finite.mean()), f"{key}.sd": deviation, f"{key}.n": float(num), f"{key}.ci95": half_width}
