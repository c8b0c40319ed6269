"""The data sets of a run as MLflow's inputs: name, digest, class counts. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.records import CellResult
from trackers.names import cut, value_text

MAX_CLASSES = 1000
"""With more classes than this no counts by class are written: MLflow shows them in one piece."""


@dataclass(frozen=True)
class Input:
    """A data set as a run saw it."""

    name: str
    digest: str
    """32 hexadecimal digits; MLflow takes 36."""
    context: str
    """`train`, `test`; `data` for a configuration's own, before any imbalance was drawn."""
    source: str
    """JSON."""
    profile: str
    """JSON: number of images, ratio, images by class."""


def inputs_of(cell: CellResult) -> tuple[Input, ...]:
    """What trains, after the imbalance, and what tests, as the confusion matrix has it; nothing of a cell that names no data."""
    if not cell.class_counts:
        return ()
    found = [_input(cell, "train", cell.class_counts, {"imbalance": _imbalance(cell), "seed": cell.seed})]
    if cell.confusion_KK is not None:
        found.append(_input(cell, "test", [sum(row) for row in cell.confusion_KK], {"split_seed": cell.seed}))
    return tuple(found)


def configuration_inputs(cell: CellResult) -> tuple[Input, ...]:
    """The data set itself: which images train differs by seed."""
    return (_input(cell, "data", (), {}),) if cell.class_counts else ()


def _input(cell: CellResult, context: str, counts: Sequence[int], drawn: dict[str, object]) -> Input:
    name, fingerprint = value_text(cell.attributes.get("dataset")), str(cell.resolved.get("fingerprint", ""))
    source = {"fingerprint": fingerprint, "part": context, **drawn}
    by_class = dict(zip(cell.class_names, counts, strict=False)) if len(counts) <= MAX_CLASSES else {}
    profile = {"images": sum(counts), "imbalance_ratio": _finite(ratio_of(counts)), "class_counts": by_class} if counts else {}
    made_of = json.dumps([name, source, list(counts)], sort_keys=True)
    tags = {"mlflow.source.name": "skewbench", "mlflow.source.type": "LOCAL"}
    return Input(
        cut(name, 500), hashlib.sha256(made_of.encode("utf-8", "backslashreplace")).hexdigest()[:32], context,
        json.dumps({"tags": tags, **source}), json.dumps(profile),
    )  # fmt: skip


def _imbalance(cell: CellResult) -> dict[str, object]:
    return {key: value for key, value in cell.attributes.items() if key == "imbalance" or key.startswith("imbalance.")}


def ratio_of(counts: Sequence[int]) -> float:
    """The largest class over the smallest one that has images; NaN without any."""
    there = [count for count in counts if count > 0]
    return max(there) / min(there) if there else math.nan


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
