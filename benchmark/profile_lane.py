"""The profile lane: every configuration of a suite measured alone, after the run, so that time and memory can be quoted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import SkewbenchError
from benchmark.execution import worker_environment
from benchmark.ledger import Ledger
from benchmark.plan import Plan
from benchmark.records import Folders
from benchmark.results import SOLO
from benchmark.stages import CellStages, Stage
from benchmark.tasks import Execution, Slot

REPEATS = 3


class MeasureError(SkewbenchError):
    """A configuration could not be measured."""


@dataclass(frozen=True)
class Lane:
    """Where and how configurations are measured."""

    ledger: Ledger
    folders: Folders
    slot: Slot
    execution: Callable[[Stage, Slot], Execution]
    plugins: Sequence[Path] = ()
    repeats: int = REPEATS

    def measure(self, plan: Plan, begun: Callable[[CellStages, int, int], None]) -> int:
        """Measure each configuration that is not measured yet, by the first of its seeds; how many. What is done is kept at once.

        `begun` is told of each: the cell, its number and how many there are.
        """
        todo = unmeasured(plan, self.ledger)
        for number, work in enumerate(todo, start=1):
            begun(work, number, len(todo))
            self.ledger.note(SOLO, work.key, self.alone(work))
        return len(todo)

    def alone(self, work: CellStages) -> Any:
        """One cell measured in a process of its own: `figures` (see benchmark.execute.measure) and `context`. MeasureError if it fails."""
        execution = self.execution(work.last, self.slot)
        request = {
            "stage": work.last.document,
            "execution": asdict(execution),
            "device": self.slot.device,
            "folders": self.folders.document,
            "plugins": [str(folder) for folder in self.plugins],
            "repeats": self.repeats,
            "cores": _cores(execution.threads),
        }
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **worker_environment(self.slot)}
        command = [sys.executable, "-m", "benchmark.execute.measure"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, start_new_session=True, env=environment, text=True)  # type: ignore[call-overload]  # by name
        try:
            told, log = process.communicate(json.dumps(request) + "\n")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            raise MeasureError(f"measuring {work.cell.config.method.text} alone failed:\n{log[-2000:]}")
        return json.loads(told.splitlines()[-1])


def unmeasured(plan: Plan, ledger: Ledger) -> list[CellStages]:
    """The first cell of each configuration without figures: one that has run, so that it is known to work."""
    notes, rows = ledger.notes(SOLO), ledger.stages()
    found: dict[str, CellStages] = {}
    known = {planned.work.config_key for planned in plan.cells if planned.work and planned.work.key in notes}
    for planned in plan.cells:
        work = planned.work
        if work and work.config_key not in known and (row := rows.get(work.last.key)) and row.status == "ok":
            found.setdefault(work.config_key, work)
    return list(found.values())


def _cores(threads: int) -> list[int]:
    """The last cores that we may use: the first ones serve interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:] if hasattr(os, "sched_getaffinity") else []
