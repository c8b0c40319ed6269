"""A store of real shape without training: `python tests/perf/generate.py FOLDER` writes scale.yaml and a ledger of 22,500 finished cells.

The cells are those of a real plan (the data set comes with scikit-learn, nothing is downloaded), so `plan`, `report`, `sync` and `pull`
take the store for one that a run has filled: `skewbench report FOLDER/scale.yaml --store FOLDER/store`. What a training would have
measured is drawn: an AUC that falls with the imbalance, differs by method and seed, and everything else follows from it. Predictions are
not there: all stages name one small file, so new metrics cannot score these cells.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import math
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmark.arrays import StoredFile, write_arrays
from benchmark.evaluate import metric_infos, scoring_key
from benchmark.grid import expand
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.plan import PlannedCell, make_plan
from benchmark.records import CellResult
from benchmark.results import unfinished
from benchmark.rows import file_text
from benchmark.spec import Suite, read_suite
from benchmark.stages import CellStages, Stage

SUITE = """
suite: scale
question: How does a study of 22,500 networks look?
seeds: {seeds}
grid:
  dataset: digits
  imbalance:
    - step: {{ratio: [2, 3, 4, 5, 6, 8, 10, 15, 20], minority: [0.1, 0.3, 0.5, 0.7, 0.9]}}
    - linear: {{ratio: [2, 5, 10, 15, 20]}}
  method:
    - none
    - ros
    - rus
    - two-phase: {{base: [ros, rus]}}
    - thresholding: {{base: [none, ros, rus]}}
    - class-weights
  model: lenet5
recipe: {{iterations: 10000, batch: 64}}
metrics: [auc, accuracy, balanced_accuracy, f1, gmean, recall.per_class]
claims:
  - id: G1
    says: Oversampling never clearly hurts.
    source: generated
    metric: auc
    compare: {{a: {{method: ros}}, b: {{method: none}}}}
    expect: a >= b - 0.005
  - id: G2
    says: Undersampling often hurts.
    source: generated
    metric: auc
    compare: {{a: {{method: rus}}, b: {{method: none}}}}
    expect: a < b
    in: 40 %
references:
  - {{id: T1, where: {{method: none, imbalance.ratio: 10, imbalance.minority: 0.5}}, metric: auc, value: 0.97, source: generated}}
"""
HELP = {"none": 0.0, "ros": 0.6, "rus": -0.3, "two-phase": 0.4, "thresholding": 0.1, "class-weights": 0.5}
"""The share of the loss to imbalance that a method takes away."""
BEGUN, TRAINING, POINTS = 1_760_000_000.0, 120.0, 100
CONTEXT = {
    "device": "cpu", "host": "generated", "cpu": "generated", "threads": 1, "execution": "1 thread, eager, channels-last",
    "precision": "float32", "libraries": {"torch": "2.14.1", "numpy": "2.4.0"}, "code_version": "0.0.0+generated",
}  # fmt: skip


def generate(folder: Path, *, seeds: int = 50) -> Path:
    """Write `scale.yaml` and `store/` into the folder: 450 x `seeds` finished cells; the suite's path."""
    folder.mkdir(parents=True, exist_ok=True)
    file, store = folder / "scale.yaml", folder / "store"
    file.write_text(SUITE.format(seeds=seeds))
    suite = read_suite(str(file))
    with Ledger(store) as ledger:
        plan = make_plan(suite.name, expand(suite), default_folders(file), ledger, scoring=scoring_key(suite.metrics), share=suite.share)
    shared = write_arrays(store, "arrays/00/generated.safetensors", {"nothing": np.zeros(1, dtype=np.float32)})
    with closing(sqlite3.connect(store / "ledger.sqlite")) as database, database:
        stages = plan.stages.values()
        database.executemany(f"INSERT OR REPLACE INTO stages VALUES ({','.join('?' * 17)})", (_stage(each, shared) for each in stages))
        database.executemany(f"INSERT OR REPLACE INTO cells VALUES ({','.join('?' * 8)})", _cells(suite, plan.cells))
    return file


def _cells(suite: Suite, planned: Sequence[PlannedCell]) -> Iterator[tuple[object, ...]]:
    scoring, names = scoring_key(suite.metrics), [info.name for info in metric_infos(suite.metrics)]
    for number, each in enumerate(planned):
        assert each.work is not None
        result = finished(unfinished(suite.name, each), each.work, number, names)
        text = json.dumps(dataclasses.asdict(result))
        yield suite.name, result.key, number + 1, each.work.last.key, scoring, "ok", "", text


def finished(cell: CellResult, work: CellStages, number: int, names: Sequence[str]) -> CellResult:
    """The cell with all that a training would have measured: drawn from its attributes and its key."""
    random = np.random.default_rng(int(work.key[:12], 16))
    auc = _auc(cell, random)
    started = BEGUN + number * TRAINING / 2
    return dataclasses.replace(
        cell,
        status="ok",
        metrics=_metrics(cell, auc, names, random),
        confusion_KK=_confusion(cell, auc - 0.05),
        curve=tuple((100 * (at + 1), 2.3 * math.exp(-at / 20) + 0.05 * float(random.random())) for at in range(POINTS)),
        profile=_profile(random),
        context=CONTEXT,
        started=started,
        ended=started + TRAINING + float(random.random()),
    )


def _auc(cell: CellResult, random: np.random.Generator) -> float:
    """A loss that grows with log ratio and the minority fraction, less what the method takes away; noise that the seed's cells share."""
    ratio, minority = float(cell.attributes["imbalance.ratio"] or 1), float(cell.attributes.get("imbalance.minority") or 0.4)
    common = np.random.default_rng([cell.seed, int(10 * ratio), int(10 * minority)]).normal(0, 0.004)
    lost = 0.04 * math.log10(ratio) * (0.5 + minority) * (1 - HELP[cell.method])
    return min(0.9999, 0.99 - lost + float(common) + float(random.normal(0, 0.002)))


def _metrics(cell: CellResult, auc: float, names: Sequence[str], random: np.random.Generator) -> dict[str, float]:
    found = {name: auc - 0.03 * index for index, name in enumerate(names)}
    for name in ("f1", "recall"):
        found |= {f"{name}/{each}": float(np.clip(auc - 0.05 + random.normal(0, 0.03), 0, 1)) for each in cell.class_names}
    return found


def _confusion(cell: CellResult, right: float) -> tuple[tuple[int, ...], ...]:
    num, images = len(cell.class_names), 54
    hits = round(images * right)
    matrix = np.full((num, num), (images - hits) // (num - 1)) + np.diag([hits] * num)
    return tuple(tuple(map(int, row)) for row in matrix)


def _profile(random: np.random.Generator) -> dict[str, float]:
    seconds = TRAINING * float(random.uniform(0.9, 1.1))
    return {
        "seconds.train": seconds, "seconds.predict": 0.4, "cpu_seconds.train": seconds * 0.99, "cpu_seconds.predict": 0.39,
        "peak_host_mib": float(random.uniform(500, 520)), "own_host_mib": 60.0, "contended": 0.0, "images_per_second": 640_000 / seconds,
        "inference_images_per_second": 12_000.0, "parameters": 431_080.0, "macs": 2_293_000.0,
    }  # fmt: skip


def _stage(stage: Stage, file: StoredFile) -> tuple[object, ...]:
    profile = {"seconds": TRAINING, "cpu_seconds": TRAINING, "images_per_second": 5000.0, "steady_seconds": TRAINING, "steady_steps": 1e4}
    parent = stage.parent.key if stage.parent else None
    kept = (json.dumps(stage.config), json.dumps(stage.all_code))
    facts = json.dumps({"parameters": 431_080, "macs": 2_293_000})
    ended = BEGUN + int(hashlib.sha256(stage.key.encode()).hexdigest()[:6], 16)
    return (
        stage.key, stage.science_key, stage.op, stage.owner, parent, *kept, "ok", "", "", "", facts, json.dumps(profile),
        json.dumps(CONTEXT), file_text(file), ended - TRAINING, ended,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a suite and its store: 450 x SEEDS finished cells (50 seeds: 22,500).")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args()
    written = generate(given.folder, seeds=given.seeds)
    sys.stdout.write(f"skewbench report {written} --store {written.parent / 'store'}\n")
