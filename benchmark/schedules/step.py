"""Drops at fractions of the budget, or at given steps."""

from __future__ import annotations

from benchmark.errors import InvalidValue
from benchmark.registry import parameter, plugin
from benchmark.schedules import Schedule


@plugin("step")
class Step(Schedule):
    """The rate is multiplied by `by` at each point in `at`: fractions of the budget (below 1), or steps (whole numbers from 1 up).

    Points given in steps stay where they are when the budget is changed; those beyond it never come.
    """

    at: tuple[float, ...] = parameter((0.5, 0.75), doc="where the rate drops, rising: fractions of the budget, or numbers of steps done")
    by: float = parameter(0.1, doc="what the rate is multiplied by at each", above=0, high=1)

    def __post_init__(self) -> None:
        fractions = all(0 < point < 1 for point in self.at)
        steps = all(point >= 1 and point == int(point) for point in self.at)
        if not (fractions or steps) or list(self.at) != sorted(set(self.at)):
            raise InvalidValue(
                "expected rising fractions between 0 and 1, or rising whole numbers of steps, for 'at' of schedule 'step', "
                f"found {list(self.at)}."
            )

    def factor(self, step: int, total: int) -> float:
        return float(self.by ** sum(step >= (round(point * total) if point < 1 else point) for point in self.at))
