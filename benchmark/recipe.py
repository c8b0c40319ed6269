"""The training recipe: what every method of a comparison shares."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from benchmark.augmentations import Augmentation
from benchmark.errors import InvalidValue
from benchmark.identity import canonical
from benchmark.optimizers import Optimizer
from benchmark.optimizers.sgd import SGD
from benchmark.preprocessings import Preprocessing
from benchmark.registry import parameter, parameters_of
from benchmark.schedules import Schedule
from benchmark.schedules.constant import Constant

DEFAULT_ITERATIONS = 1000
MONITORED = {"train": 5_000, "test": 10_000}
"""Images of a part that are looked at each time, at most."""
WATCHING = ("monitor",)
"""Entries that only watch: part of what is computed, but no random stream may depend on them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Optimizer, schedule, budget, batch and regularisation. The budget is in iterations, equal for every method, or in `epochs`."""

    optimizer: Optimizer = parameter(SGD(momentum=0.9, nesterov=False), doc="optimizer with its parameters")
    schedule: Schedule = parameter(Constant(), doc="learning-rate schedule with its parameters")
    iterations: int | None = parameter(
        None, doc="training steps, the same for every method (1000 if neither this nor epochs is given)", low=1
    )
    epochs: float | None = parameter(None, doc="instead of iterations: passes over the method's own (sampled) training set", above=0)
    batch: int = parameter(64, doc="images a step; the stream reshuffles at each pass and never gives a short batch", low=1)
    l1: float = parameter(0.0, doc="L1 penalty on weights (not on biases or norms)", low=0, log=True)
    label_smoothing: float = parameter(0.0, doc="label smoothing of the cross-entropy", low=0, high=0.99)
    precision: str = parameter(
        "float32", doc="of the training's forward pass; bf16: mixed, weights stay float32", choices=("float32", "bf16")
    )
    preprocess: Preprocessing | None = parameter(
        None, doc="what is done to the images first, as `gcn-zca`; null: pixel values divided by 255", later=True
    )
    augment: Augmentation | None = parameter(
        None, doc="what is done at random to training images, anew at each step, as `geometric`; null: nothing", later=True
    )
    monitor: int = parameter(
        0,
        doc="how often to look at training and test accuracy on the way, evenly spread, the last time at the end; only reported",
        low=0,
        high=200,
        later=True,
    )

    def __post_init__(self) -> None:
        if self.iterations is not None and self.epochs is not None:
            raise InvalidValue("expected `iterations` or `epochs` in a recipe, found both: choose one.")
        if self.epochs is None:
            object.__setattr__(self, "iterations", self.iterations or DEFAULT_ITERATIONS)  # frozen: the budget is spelled out once, here

    def num_steps(self, num_images: int) -> int:
        """Training steps for a training set of `num_images` (after sampling)."""
        if self.iterations is not None:
            return self.iterations
        assert self.epochs is not None
        return max(1, round(self.epochs * num_images / self.batch))

    def monitored_steps(self, steps: int) -> tuple[int, ...]:
        """After which of so many steps accuracy is looked at, ascending; fewer than `monitor` where there are fewer steps."""
        return tuple(sorted({-(-number * steps // self.monitor) for number in range(1, self.monitor + 1)}))

    @functools.cached_property
    def doc(self) -> dict[str, Any]:
        """Every field as plain JSON."""
        return parameters_of(self)

    @functools.cached_property
    def science(self) -> dict[str, Any]:
        """`doc` without places: what identity is made of."""
        return parameters_of(self, identity=True)

    @functools.cached_property
    def text(self) -> str:
        return canonical(self.doc)
