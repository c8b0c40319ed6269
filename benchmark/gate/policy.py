"""What counts as a regression: margins, and how sure one must be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from benchmark.errors import UserError

PASSING = 0.05
"""Risk of passing a loss as large as the margin: `ok` rules it out at this level, else the answer is `inconclusive`."""


@dataclass(frozen=True)
class Policy:
    """A regression is a loss that is significant (family-wise at `alpha`) and at least the margin. None: that measure is not asked for."""

    quality: float | None = 0.005
    """In the metric's unit."""
    time: float | None = 0.05
    """A share of the baseline's seconds."""
    memory: float | None = 0.05
    """A share of the baseline's peak."""
    alpha: float = 0.01
    metrics: tuple[str, ...] = ()
    """Those that are judged; empty: the suite's first one, and accuracy where it has that."""

    @property
    def document(self) -> dict[str, Any]:
        measures = {"quality": self.quality, "time": self.time, "memory": self.memory}
        return {**measures, "alpha": self.alpha, "metrics": list(self.metrics)}


def points(text: str) -> float | None:
    """A margin of a metric: `0.5pp` is 0.005, so is `0.005`; None for `off`."""
    return _amount(text, unit="pp", what="0.5pp, 0.005 or off")


def share(text: str) -> float | None:
    """A margin as a share: `5%` is 0.05, so is `0.05`; None for `off`."""
    return _amount(text, unit="%", what="5%, 0.05 or off")


def _amount(text: str, *, unit: str, what: str) -> float | None:
    if text == "off":
        return None
    found = re.fullmatch(rf"(\d+(?:\.\d+)?|\.\d+)\s*({unit})?", text.strip(), re.ASCII)
    if not found or float(found[1]) == 0:
        raise UserError(f"expected a margin such as {what}, found '{text}'.")
    return float(found[1]) / (100 if found[2] else 1)
