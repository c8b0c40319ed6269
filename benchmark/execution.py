"""How this machine computes best: workers and threads, and an execution profile for each kind of training.

Each is measured once per machine, in processes of its own, and kept (see benchmark.machine); `skewbench doctor` shows it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from benchmark import registry
from benchmark.errors import SkewbenchError
from benchmark.identity import canonical, digest
from benchmark.machine import Measurements, usable_cores
from benchmark.recipe import Recipe
from benchmark.stages import Stage
from benchmark.tasks import FIXED, Execution, Slot

log = logging.getLogger(__name__)

MARGIN = 0.03
"""A candidate must be faster than the reference by more than this share to be chosen."""
TOLERANCE = {"float32": 1e-3, "bf16": 5e-2}
"""Largest relative difference of outputs, after a few steps, at which a candidate counts as equivalent to the reference."""
ENOUGH_STEPS = 4000
"""Below so many training steps in all, measuring costs more than it brings."""
COMPILE_MINUTES = 10
"""Compiling is tried for a kind of training only if more than this is left to do of it."""
LAYOUT_SECONDS = 2.0


class ProbeError(SkewbenchError):
    """A measurement could not be made."""


@dataclass(frozen=True)
class Layout:
    """Workers side by side, and the threads of each."""

    workers: int
    threads: int
    why: str
    measured: Mapping[str, float]
    """Images a second in all, by `workers x threads`."""


def candidate_layouts(cores: int) -> list[tuple[int, int]]:
    """Workers and threads that together use every core, from most workers to one."""
    return [(cores // threads, threads) for threads in range(1, cores + 1) if cores % threads == 0]


def default_layout(measurements: Measurements) -> Layout:
    """The measured layout if there is one, else a worker of one thread for each core."""
    found = measurements.get("layout", "cpu")
    if found:
        return Layout(**found)
    cores = usable_cores()
    return Layout(cores, 1, "not measured: one thread each repeats to the bit and does not collapse on a busy machine", {})


def measure_layout(measurements: Measurements) -> Layout:
    """Measure the candidates on a small network, choose and keep one."""
    rates = {f"{workers} x {threads}": _rate(standard_stage(), workers, threads) for workers, threads in candidate_layouts(usable_cores())}
    layout = choose_layout(rates)
    measurements.keep("layout", "cpu", asdict(layout))
    return layout


def choose_layout(rates: Mapping[str, float]) -> Layout:
    """The fastest; within 5 % of it, the one with the fewest threads: that is robust where the machine is busy."""
    best = max(rates.values())
    near = {name: rate for name, rate in rates.items() if rate >= 0.95 * best}
    chosen = min(near, key=lambda name: int(name.partition(" x ")[2]))
    workers, _, threads = chosen.partition(" x ")
    why = "measured to be fastest" if rates[chosen] == best else "within 5 % of the fastest, with fewer threads"
    return Layout(int(workers), int(threads), why, dict(rates))


def _rate(stage: Stage, workers: int, threads: int) -> float:
    """Images a second of some processes side by side."""
    execution = replace(FIXED, threads=threads)
    request = {"kind": "rate", "stage": stage.document, "device": "cpu", "executions": [asdict(execution)], "seconds": LAYOUT_SECONDS}
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_probe(threads)) for _ in range(workers)]
        for process in processes:
            _write(process, json.dumps(request))
        for process in processes:
            _read(process)  # ready
        for process in processes:
            _write(process, "go")
        return float(sum(_read(process)["images_per_second"] for process in processes))


def standard_stage() -> Stage:
    """The training that layouts are measured with: LeNet-5 on 28 x 28 grey images, batch 64."""
    model = registry.build("models", "lenet5")
    recipe = registry.plain(Recipe())
    config = {"model": model.doc, "recipe": recipe, "image_shape": (1, 28, 28), "class_counts": (1,) * 10, "steps": 1, "seed": 0}
    return Stage("train", config, {"model": model.science, "seed": 0}, {}, "doctor")


# -- execution profiles


def signature(stage: Stage, slot: Slot) -> str:
    """What an execution profile is chosen for: model, image shape, classes, batch, precision, optimizer, device and threads."""
    config = stage.chain[0].config
    recipe = config["recipe"]
    parts = [config["model"], config["image_shape"], len(config["class_counts"]), recipe["batch"], recipe["precision"]]
    parts += [recipe["augment"]] if recipe.get("augment") else []  # then a frozen base is run at every step
    return digest(canonical([*parts, next(iter(recipe["optimizer"])), slot.device, slot.threads]))


def candidate_executions(slot: Slot, seconds_left: float) -> list[Execution]:
    """The profiles worth measuring on a slot."""
    plain = replace(FIXED, threads=slot.threads)
    found = [plain, replace(plain, channels_last=False)]
    if seconds_left > COMPILE_MINUTES * 60 and (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        found += [replace(each, compiled=True) for each in found]
    return found


@dataclass(frozen=True)
class Choice:
    """The execution profile of one kind of training, with what it was chosen from."""

    execution: Execution
    regret: float
    """Its seconds per step over those of the fastest equivalent candidate; 1 is best."""
    candidates: Sequence[Mapping[str, Any]]
    """As measured: see benchmark.execute.probe.Candidate."""
    what: str


def choose(candidates: Sequence[Mapping[str, Any]], precision: str, seconds_left: float, what: str) -> Choice:
    """The fastest candidate that agrees with the reference and pays back what compiling costs; the first unless it is beaten clearly."""
    equivalent = [each for each in candidates if each["difference"] <= TOLERANCE[precision]]
    for each in candidates:
        if each not in equivalent:
            log.warning("%s: %s is not equivalent to the reference (%.2g): rejected", what, each["execution"], each["difference"])
    if not equivalent:
        raise ProbeError(f"no execution profile of {what} agrees with the reference: {candidates}")
    plain = equivalent[0]
    worth = [each for each in equivalent if _pays_back(each, plain, seconds_left)]
    best = min(worth, key=lambda each: each["seconds_per_step"])
    chosen = best if best["seconds_per_step"] < (1 - MARGIN) * plain["seconds_per_step"] else plain
    fastest = min(each["seconds_per_step"] for each in worth)
    return Choice(Execution(**chosen["execution"]), chosen["seconds_per_step"] / fastest, tuple(candidates), what)


def _pays_back(candidate: Mapping[str, Any], plain: Mapping[str, Any], seconds_left: float) -> bool:
    """Whether what a compiled candidate saves on the work that is left is at least twice what compiling took."""
    if not candidate["execution"]["compiled"]:
        return True
    saved = (1 - candidate["seconds_per_step"] / plain["seconds_per_step"]) * seconds_left
    return bool(saved > 2 * candidate["first_seconds"])


class Chooser:
    """Execution profiles for the stages of a run: kept ones, and new ones where there is enough to do."""

    def __init__(self, measurements: Measurements, plugins: Sequence[Path] = ()) -> None:
        self._measurements = measurements
        self._plugins = [str(folder) for folder in plugins]
        self._known: dict[tuple[object, ...], Execution] = {}
        self._alive: list[Stage] = []
        """The stages by whose objects' ids is looked up: while they live, no other object has these ids."""

    def prepare(self, stages: Sequence[Stage], slot: Slot) -> list[Choice]:
        """Measure each kind of training among these stages that is not known and is worth it; what was chosen anew."""
        kinds: dict[str, list[Stage]] = {}
        for stage in stages:
            if stage.op == "train":
                kinds.setdefault(signature(stage, slot), []).append(stage)
        return [
            self._measure(key, group[0], slot, steps)
            for key, group in kinds.items()
            if (steps := sum(each.config["steps"] for each in group)) >= ENOUGH_STEPS and not self._measurements.get("execution", key)
        ]

    def execution(self, stage: Stage, slot: Slot) -> Execution:
        """The profile of a stage on a slot."""
        config = stage.chain[0].config
        key = (id(config["model"]), id(config["recipe"]), config["image_shape"], len(config["class_counts"]), slot)
        if key not in self._known:
            found = self._measurements.get("execution", signature(stage, slot))
            self._alive.append(stage)
            self._known[key] = Execution(**found["execution"]) if found else replace(FIXED, threads=slot.threads)
        return self._known[key]

    def _measure(self, key: str, stage: Stage, slot: Slot, steps: int) -> Choice:
        plain = measure(stage, slot, candidate_executions(slot, 0.0), self._plugins)
        seconds_left = plain[0]["seconds_per_step"] * steps
        found = plain
        if seconds_left > COMPILE_MINUTES * 60:
            found = measure(stage, slot, candidate_executions(slot, seconds_left), self._plugins)
        choice = choose(found, stage.config["recipe"]["precision"], seconds_left, describe(stage, slot))
        self._measurements.keep("execution", key, asdict(choice))
        log.info("%s: %s (regret %.3f)", choice.what, choice.execution.words, choice.regret)
        return choice


def describe(stage: Stage, slot: Slot) -> str:
    """A kind of training in a few words."""
    config = stage.chain[0].config
    shape = "x".join(map(str, config["image_shape"]))
    return f"{next(iter(config['model']))} on {shape}, batch {config['recipe']['batch']}, {slot.device}, {slot.threads} thread(s)"


def measure(stage: Stage, slot: Slot, executions: Sequence[Execution], plugins: Sequence[str] = ()) -> list[Mapping[str, Any]]:
    """Candidates as measured in a process of their own."""
    request = {"kind": "candidates", "stage": stage.chain[0].document, "device": slot.device, "plugins": list(plugins)}
    with _probe(slot.threads) as process:
        _write(process, json.dumps({**request, "executions": [asdict(each) for each in executions]}))
        found: list[Mapping[str, Any]] = _read(process)
        return found


# -- processes


def worker_environment(slot: Slot) -> dict[str, str]:
    """What a worker's environment has beyond ours: threads, and no GPU in sight of one that works on the CPU."""
    found = {name: str(slot.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return found | ({"CUDA_VISIBLE_DEVICES": ""} if slot.device == "cpu" else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"})


@contextlib.contextmanager
def _probe(threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """A probing process in a session of its own, gone when this ends."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, **{k: str(threads) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.execute.probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.communicate()


def _write(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[bytes]) -> Any:
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise ProbeError(f"measuring this machine failed:\n{_tail(process.stderr)}")
    return json.loads(line)


def _tail(stream: IO[bytes]) -> str:
    return stream.read().decode(errors="replace")[-2000:]
