"""Drops at fractions of the budget."""

from __future__ import annotations

from benchmark.errors import InvalidValue
from benchmark.registry import parameter, plugin
from benchmark.schedules import Schedule


@plugin("step")
class Step(Schedule):
    """The rate is multiplied by `by` at each fraction of the budget in `at`."""

    at: tuple[float, ...] = parameter((0.5, 0.75), doc="fractions of the budget, rising, between 0 and 1")
    by: float = parameter(0.1, doc="what the rate is multiplied by at each", above=0, high=1)

    def __post_init__(self) -> None:
        if not all(0 < a < 1 for a in self.at) or list(self.at) != sorted(set(self.at)):
            raise InvalidValue(f"expected rising fractions between 0 and 1 for 'at' of schedule 'step', found {list(self.at)}.")

    def factor(self, step: int, total: int) -> float:
        return float(self.by ** sum(step >= round(fraction * total) for fraction in self.at))
