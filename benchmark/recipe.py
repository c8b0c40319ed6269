"""The training recipe: what every method of a comparison shares."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from benchmark.errors import InvalidValue
from benchmark.identity import canonical
from benchmark.optimizers import Optimizer
from benchmark.optimizers.sgd import SGD
from benchmark.registry import parameter, parameters_of
from benchmark.schedules import Schedule
from benchmark.schedules.constant import Constant

DEFAULT_ITERATIONS = 1000


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
