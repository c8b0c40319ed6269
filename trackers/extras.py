"""Files that a run has only when asked for: predictions, and the trained network as a logged model. Whoever calls knows where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmark.records import CellResult

PREDICTIONS = "predictions.safetensors"


@dataclass(frozen=True)
class Model:
    """A trained network as files, none of which can run code when it is read."""

    name: str
    files: Mapping[str, bytes]
    """`model.safetensors`, `model.json`, `input_example.json`, `MLmodel`."""


@dataclass(frozen=True)
class Extras:
    """What is asked for. Each gives None where the store does not have it (any more)."""

    predictions: Callable[[CellResult], bytes | None] | None = None
    """Scores [N, K] and labels [N] of each part, safetensors."""
    model: Callable[[CellResult], Model | None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """`models`, `predictions`"""
        asked = {"models": self.model, "predictions": self.predictions}
        return tuple(name for name, given in asked.items() if given is not None)

    def of(self, cell: CellResult) -> tuple[str, ...]:
        """What a cell is to have."""
        return self.names if cell.status == "ok" else ()

    def files(self, cell: CellResult) -> dict[str, bytes]:
        """The artifacts, but for the model."""
        data = self.predictions(cell) if self.predictions is not None and cell.status == "ok" else None
        return {PREDICTIONS: data} if data is not None else {}
