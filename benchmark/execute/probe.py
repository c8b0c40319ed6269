"""Measuring how this machine trains: a process of its own, asked in one JSON document on standard input, answering on standard output.

`python -m benchmark.execute.probe`. It serves the choice of a layout and of execution profiles, and the prices of a plan.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark import registry
from benchmark.execute.batches import stream
from benchmark.execute.context import choose_machine
from benchmark.execute.feed import fed_shape, recipe_of
from benchmark.execute.loop import TrainingSet, floats, log_probabilities, precision_of, train_chunk
from benchmark.execute.profiling import Meter
from benchmark.execute.stages import Executor
from benchmark.records import Folders
from benchmark.stages import Stage
from benchmark.tasks import FIXED, Execution

IMAGES = 4096
"""Random images to draw batches from."""
WARM_UP, ROUND, ROUNDS = 5, 15, 4
CHECKED_STEPS = 5
"""Steps after which a candidate's outputs are compared with the reference's."""


@dataclass(frozen=True)
class Candidate:
    """An execution profile as measured for one kind of training."""

    execution: Execution
    seconds_per_step: float
    seconds_per_image: float
    """Of prediction."""
    difference: float
    """Largest difference of an output to the reference's after some steps, relative to the largest output."""
    peak_host_mib: float
    peak_device_mib: float | None
    first_seconds: float
    """Of the first step: compiling is in it."""


class Trial:
    """One kind of training on random images, under one execution profile."""

    def __init__(self, stage: Stage, device: str, execution: Execution) -> None:
        self.executor = Executor(choose_machine(device, execution.threads), Folders((), Path()))
        self.executor.adopt(execution)
        self.recipe = recipe_of(stage.config)
        shape = fed_shape(stage)
        self.network = self.executor.network(stage, shape).forward
        random = torch.Generator().manual_seed(0)
        classes = len(stage.config["class_counts"])
        images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=random).to(device)
        labels = torch.randint(0, classes, (IMAGES,), generator=random).to(device)
        inputs = floats(images) if self.recipe.preprocess or len(shape) == 1 else images
        self.data = TrainingSet(inputs, labels, torch.arange(IMAGES, device=device))
        self.optimizer = self.recipe.optimizer.build(self.network.parameters())
        self.batches: Iterator[Tensor] = stream(IMAGES, self.recipe.batch, 1_000_000, seed=0)
        self.device = device

    def steps(self, number: int) -> float:
        """Seconds of some training steps."""
        self.network.train()
        losses = torch.zeros(number, device=self.device)
        chunk = [((picked, None), self.recipe.optimizer.lr) for picked in itertools.islice(self.batches, number)]
        precision = precision_of(self.recipe, torch.device(self.device))
        loss = torch.nn.CrossEntropyLoss(label_smoothing=self.recipe.label_smoothing)
        begun = self._now()
        train_chunk(self.network, self.data, self.optimizer, loss, chunk, losses, precision, penalised=[], l1=0.0)
        return self._now() - begun

    def outputs(self) -> Tensor:
        return log_probabilities(self.network, self.data.inputs, self.data.rows[:256])

    def prediction(self) -> float:
        """Seconds an image takes in prediction."""
        begun = self._now()
        log_probabilities(self.network, self.data.inputs, self.data.rows)
        return (self._now() - begun) / IMAGES

    def _now(self) -> float:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def candidates(stage: Stage, device: str, executions: Sequence[Execution]) -> list[Candidate]:
    """Every execution profile, in interleaved rounds; differences are to the reference profile (FIXED)."""
    reference = Trial(stage, device, FIXED)
    reference.steps(CHECKED_STEPS)
    expected = reference.outputs()
    trials, firsts, differences = [], [], []
    for execution in executions:
        trial = Trial(stage, device, execution)
        firsts.append(trial.steps(1))
        trial.steps(CHECKED_STEPS - 1)
        differences.append(float((trial.outputs() - expected).abs().max() / expected.abs().max()))
        trial.steps(WARM_UP)
        trials.append(trial)
    seconds: list[list[float]] = [[] for _ in trials]
    for _ in range(ROUNDS):
        for trial, found in zip(trials, seconds, strict=True):
            trial.executor.adopt(trial.executor.execution)
            found.append(trial.steps(ROUND) / ROUND)
    return [_measured(*parts) for parts in zip(trials, seconds, differences, firsts, strict=True)]


def _measured(trial: Trial, seconds: Sequence[float], difference: float, first: float) -> Candidate:
    trial.prediction()
    meter = Meter(trial.device)
    trial.steps(2)
    per_image = trial.prediction()
    found = meter.read()
    peaks = found["peak_host_mib"], found.get("peak_device_reserved_mib")
    return Candidate(trial.executor.execution, statistics.median(seconds), per_image, difference, *peaks, first_seconds=first)


def side_by_side(stage: Stage, device: str, execution: Execution, seconds: float) -> Iterator[Mapping[str, Any]]:
    """Say when ready, wait for a line, train for some seconds, tell how many images a second."""
    trial = Trial(stage, device, execution)
    trial.steps(WARM_UP)
    yield {"ready": True}
    sys.stdin.readline()
    begun, images = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        trial.steps(5)
        images += 5 * trial.recipe.batch
    yield {"images_per_second": images / (time.perf_counter() - begun)}


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.readline())
    for folder in request.get("plugins", ()):
        registry.load_folder(Path(folder))
    stage = Stage.from_document(request["stage"])
    executions = [Execution(**each) for each in request["executions"]]
    with contextlib.redirect_stdout(sys.stderr):
        if request["kind"] == "candidates":
            _answer([asdict(each) for each in candidates(stage, request["device"], executions)])
        else:
            for told in side_by_side(stage, request["device"], executions[0], request["seconds"]):
                _answer(told)


def _answer(document: Any) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(document) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    main()
