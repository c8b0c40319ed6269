"""Contract of a schedule: a pure function of the step, testable without training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from benchmark.registry import Plugin


@dataclass(frozen=True, kw_only=True)
class Schedule(Plugin, ABC):
    """What the base learning rate is multiplied by at each step."""

    kind: ClassVar[str] = "schedules"

    @abstractmethod
    def factor(self, step: int, total: int) -> float:
        """The factor at `step` (0-based) of `total` steps."""
