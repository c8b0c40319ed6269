"""What a run says: the parameters, tags, metrics and times of a cell and of a configuration. Pure: knows no MLflow, touches no disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.records import CellResult
from trackers.location import redact
from trackers.names import MAX_TAG, cut, metric_key, value_text

LAYOUT = 1
"""Part of every digest: raise it when runs are to be written anew because their layout changed."""
MAX_CLASS_METRICS = 20
"""With more classes than this, numbers per class stand in the artifact `cell.json` only."""
CURVE = "train_loss"
OF_THE_SELECTION = ("shared_with",)
"""Fields of a cell that follow from which other cells are meant: never written, or every `--only` would write all runs anew."""


@dataclass(frozen=True)
class RunContent:
    """One run as it should stand. Times in milliseconds; 0: not known."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    """Finite values only."""
    curve: tuple[tuple[int, float], ...]
    finished: bool
    """True: FINISHED, False: FAILED."""
    start_ms: int
    end_ms: int


def content_digest(content: CellResult | RunContent) -> str:
    """Changes whenever anything that the tracker shows of it changes."""
    values = [getattr(content, item.name) for item in dataclasses.fields(content) if item.name not in OF_THE_SELECTION]
    text = json.dumps([LAYOUT, values], sort_keys=True, default=_as_json, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _as_json(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def cell_content(cell: CellResult) -> RunContent:
    """The child run of one seed."""
    measured = {metric_key(name): value for name, value in cell.metrics.items() if not _left_to_artifact(name, cell)}
    measured |= {metric_key(f"profile/{name}"): value for name, value in cell.profile.items()}
    finite = {key: float(value) for key, value in measured.items() if math.isfinite(value)}
    return RunContent(
        name=cut(f"{label(cell)} · seed {cell.seed}", 250),
        params={**_params(cell), "seed": str(cell.seed)},
        tags=_tags(cell) | _outcome(cell, not_finite=sorted(measured.keys() - finite.keys())),
        metrics=finite,
        curve=tuple((step, loss) for step, loss in cell.curve if math.isfinite(loss)),
        finished=cell.status == "ok",
        start_ms=round(cell.started * 1000),
        end_ms=round(cell.ended * 1000),
    )


def configuration_content(cells: Sequence[CellResult], *, planned: int, headline: Sequence[str]) -> RunContent:
    """The parent run: mean, sd (n - 1), n and half-width of the 95 % t interval over the seeds that ended well."""
    first, done = cells[0], [cell for cell in cells if cell.status == "ok"]
    metrics: dict[str, float] = {}
    for name in headline:
        metrics |= _aggregate(metric_key(name), [cell.metrics.get(name, math.nan) for cell in done])
    for name in sorted({name for cell in done for name in cell.profile}):
        over_seeds = _aggregate(metric_key(f"profile/{name}"), [cell.profile.get(name, math.nan) for cell in done])
        metrics |= {key: value for key, value in over_seeds.items() if key.endswith(".mean")}
    status = "failed" if not done else "ok" if len(done) == planned else "partial"
    counts = {"seeds_ok": len(done), "seeds_failed": len(cells) - len(done), "seeds_planned": planned}
    return RunContent(
        name=label(first),
        params=_params(first),
        tags=_filters(first, level="configuration") | {"bench.status": status} | {f"bench.{key}": str(n) for key, n in counts.items()},
        metrics=metrics,
        curve=(),
        finished=bool(done),
        start_ms=round(min((cell.started for cell in cells if cell.started), default=0.0) * 1000),
        end_ms=round(max(cell.ended for cell in cells) * 1000),
    )


def label(cell: CellResult) -> str:
    """What a person calls the configuration: `ros(ratio=1) · step(ratio=10) · digits · lenet5`."""
    return cut(" · ".join(_part(cell, axis) for axis in ("method", "imbalance", "dataset", "model")), 230)


def _part(cell: CellResult, axis: str) -> str:
    own = {key.removeprefix(f"{axis}."): value for key, value in cell.attributes.items() if key.startswith(f"{axis}.")}
    inside = ", ".join(f"{key}={value_text(value)}" for key, value in own.items() if value is not None)
    name = value_text(cell.attributes.get(axis, "?"))
    return f"{name}({inside})" if inside else name


def _params(cell: CellResult) -> dict[str, str]:
    return {metric_key(name): value_text(value) for name, value in cell.attributes.items()}


def _filters(cell: CellResult, *, level: str) -> dict[str, str]:
    """The tags by which a person filters, the same on both levels."""
    tags = {"bench.level": level, "bench.suite": cell.suite, "bench.config_key": cell.config_key, "mlflow.source.name": "skewbench"}
    return tags | {f"bench.{axis}": value_text(cell.attributes.get(axis)) for axis in ("dataset", "imbalance", "method", "model")}


def _tags(cell: CellResult) -> dict[str, str]:
    tags = _filters(cell, level="cell") | {"bench.cell_key": cell.key, "bench.seed": str(cell.seed), "bench.current": "true"}
    context = {name: cell.context[name] for name in ("host", "device", "code_version") if cell.context.get(name) is not None}
    return {key: redact(cut(value, MAX_TAG)) for key, value in (tags | {f"bench.{k}": str(v) for k, v in context.items()}).items()}


def _outcome(cell: CellResult, *, not_finite: Sequence[str]) -> dict[str, str]:
    tags: dict[str, str] = {"bench.status": cell.status}
    if not_finite:
        tags["bench.not_finite"] = cut(", ".join(not_finite), MAX_TAG)
    if cell.status != "ok":
        tags["bench.reason"] = cut(redact(cell.reason) or "no reason given", MAX_TAG)
        tags["mlflow.note.content"] = cut(f"**{cell.status}**: {tags['bench.reason']}", MAX_TAG)
    return tags


def _left_to_artifact(name: str, cell: CellResult) -> bool:
    return len(cell.class_names) > MAX_CLASS_METRICS and name.partition("/")[2] in cell.class_names


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
