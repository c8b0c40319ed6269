"""A cell measured alone: a process of its own, pinned to its cores, the whole chain of stages in a row, warmed up and repeated.

`python -m benchmark.execute.measure`: one JSON document on standard input, one on standard output. Only these figures are a method's cost.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark import registry
from benchmark.arrays import Arrays
from benchmark.execute.context import choose_machine
from benchmark.execute.stages import Executor
from benchmark.records import Folders
from benchmark.stages import Stage
from benchmark.tasks import Execution

STEPS = 250
"""Steps of a training that are measured; the rest takes as long per step."""


def figures(chain: Sequence[Stage], executor: Executor, execution: Execution, repeats: int) -> dict[str, float]:
    """The cell's cost, medians over the repeats; the first pass warms up and is left out.

    `seconds` is what training, fine-tuning and feature extraction take with all planned steps, `seconds_low` and `seconds_high` the
    extremes over the repeats; `ms_per_step` and `images_per_second` are of the training without its first steps, `inference_…` of
    prediction in batches; memory is the largest of the chain. `contended` is 1 if any pass was disturbed.
    """
    passes = [_pass(chain, executor, execution) for _ in range(repeats + 1)][1:]
    totals = [sum(_planned_seconds(stage, found[stage.op]) for stage in chain if stage.op not in ("predict", "adjust")) for found in passes]
    made = {"seconds": statistics.median(totals), "seconds_low": min(totals), "seconds_high": max(totals), "repeats": float(repeats)}
    made |= _medians(passes, "train", {"ms_per_batch": "ms_per_step", "images_per_second": "images_per_second"})
    made |= {name: passes[0]["train"][name] for name in ("parameters", "macs")}
    made |= _medians(passes, "predict", {"ms_per_batch": "inference_ms_per_batch", "images_per_second": "inference_images_per_second"})
    for name in ("peak_host_mib", "own_host_mib", "peak_device_mib", "peak_device_reserved_mib", "contended", "throttled", "loader_bound"):
        values = [profile[name] for found in passes for profile in found.values() if name in profile]
        made |= {name: max(values)} if values else {}
    energies = [sum(profile["energy_j"] for profile in found.values() if "energy_j" in profile) for found in passes]
    return made | ({"measured_energy_j": statistics.median(energies)} if any(energies) else {})


def _medians(passes: Sequence[Mapping[str, Mapping[str, float]]], op: str, names: Mapping[str, str]) -> dict[str, float]:
    return {
        new: statistics.median(found[op][old] for found in passes) for old, new in names.items() if all(op in found for found in passes)
    }


def _pass(chain: Sequence[Stage], executor: Executor, execution: Execution) -> dict[str, Mapping[str, float]]:
    """The chain once, its trainings cut short: a profile per operation."""
    parent: Arrays = {}
    found: dict[str, Mapping[str, float]] = {}
    sizes: dict[str, float] = {}
    for stage in chain:
        result = executor.run(cut(stage), parent, lambda *_: None, execution)
        parent, found[stage.op] = result.arrays, result.profile
        sizes |= {name: float(result.facts[name]) for name in ("parameters", "macs") if name in result.facts}
    found["train"] = {**found["train"], **sizes}
    return found


def cut(stage: Stage) -> Stage:
    """The stage with at most STEPS steps and unwatched; streams, which depend on `science`, stay as they are."""
    config = dict(stage.config)
    config |= {"steps": min(config["steps"], STEPS)} if "steps" in config else {}
    config |= {"recipe": {**config["recipe"], "monitor": 0}} if "recipe" in config else {}  # watching is no part of a method's cost
    return dataclasses.replace(stage, config=config)


def _planned_seconds(stage: Stage, profile: Mapping[str, float]) -> float:
    """Seconds of the stage with all its steps: what was measured, and the missing ones at the steady pace."""
    steps = stage.config.get("steps")
    if steps is None:
        return profile["seconds"]
    return profile["seconds"] + float(max(0, steps - STEPS)) * profile["steady_seconds"] / profile["steady_steps"]


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.readline())
    if request["cores"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request["cores"])
    for folder in request["plugins"]:
        registry.load_folder(Path(folder))
    execution = Execution(**request["execution"])
    executor = Executor(choose_machine(request["device"], execution.threads), Folders.from_document(request["folders"]))
    chain = Stage.from_document(request["stage"]).chain
    with contextlib.redirect_stdout(sys.stderr):
        found = figures(chain, executor, execution, request["repeats"])
    context = {**executor.machine.context, "execution": execution.words}
    sys.stdout.write(json.dumps({"figures": found, "context": context}) + "\n")


if __name__ == "__main__":
    main()
