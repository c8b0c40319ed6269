"""How a tracker is written to: what of it follows from who writes, not from what is written."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    """How a tracker is written to."""

    in_bulk: bool = True
    """New runs many at a time where that can be done; False: by MLflow's own client alone."""
    alone: bool = True
    """Nobody else writes into an experiment that is made here as long as the tracker is open."""
    anew: bool = False
    """Runs that are there as they should be are written all the same, files too: what is damaged cannot be told from outside."""
    painters: Executor | None = None
    """Processes that draw pictures beside this one."""


USUAL = Way()
