"""Judging a training on the way: its network scored on the validation images after some of its steps, and stopped if the judge says so.

Like watching (benchmark.execute.monitor) it leaves no trace in the training. Only the validation part is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from benchmark import registry
from benchmark.draw import Split
from benchmark.execute.loop import Watch, log_probabilities
from benchmark.execute.sources import ImageSource
from benchmark.metrics import Metric
from benchmark.records import Predictions
from benchmark.tasks import Judge, Reported, Rungs


class Pruned(Exception):
    """The judge has seen enough of this training."""


@dataclass(frozen=True)
class Watcher:
    """What a task asks to be judged by."""

    key: str
    rungs: Rungs
    judge: Judge

    def rungs_of(self, steps: int, split: Split, images: ImageSource) -> JudgedTraining | None:
        """The judging of a training of so many steps; None where there is no validation part or nothing between start and end."""
        at = {-(-percent * steps // 100): percent for percent in self.rungs.at}
        at = {step: percent for step, percent in at.items() if 0 < step < steps}
        return JudgedTraining(self, at, split, images) if at and len(split.validation) else None


@dataclass
class JudgedTraining:
    """Looks at a network at the rungs of one training."""

    watcher: Watcher
    percents: dict[int, int]
    """By step."""
    split: Split
    images: ImageSource

    @property
    def at(self) -> tuple[int, ...]:
        return tuple(sorted(self.percents))

    def look(self, model: nn.Module, step: int) -> None:
        """Score the network and ask the judge; Pruned if it says stop. A score that is not defined is not judged."""
        was_training = model.training
        device = self.images.device
        rows = torch.from_numpy(self.split.validation).to(device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # somebody's network may draw when evaluated too
            scores_NK = log_probabilities(model, self.images, rows).numpy()
        model.train(was_training)
        metric = cast(Metric, registry.build("metrics", self.watcher.rungs.metric))
        labels_N = self.split.labels_N[self.split.validation]
        counts = torch.from_numpy(self.split.labels_N[self.split.train]).bincount(minlength=scores_NK.shape[1]).tolist()
        value = metric.score(Predictions(scores_NK, labels_N, tuple(counts))).value
        percent = self.percents[step]
        if math.isfinite(value) and not self.watcher.judge(Reported(self.watcher.key, percent, float(value))):
            raise Pruned(f"stopped after {percent} % of its steps, at {value:.4g} on the validation images")


@dataclass(frozen=True)
class Both:
    """Two who look on."""

    first: Watch
    second: Watch

    @property
    def at(self) -> tuple[int, ...]:
        return tuple(sorted({*self.first.at, *self.second.at}))

    def look(self, model: nn.Module, step: int) -> None:
        for watch in (self.first, self.second):
            if step in watch.at:
                watch.look(model, step)


def watch_of(monitor: Watch | None, judged: Watch | None) -> Watch | None:
    """Whoever looks on, both where there are two."""
    return Both(monitor, judged) if monitor and judged else monitor or judged
