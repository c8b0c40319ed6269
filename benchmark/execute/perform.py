"""One task, from its parent's file to a file of its own: what every engine does where it computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmark.arrays import Arrays, DamagedFile, read_arrays, write_arrays
from benchmark.errors import DataError
from benchmark.execute.loop import Progress
from benchmark.execute.rungs import Pruned, Watcher
from benchmark.execute.stages import Executor, StageResult
from benchmark.failures import failure_kind, tail_of
from benchmark.ledger import now
from benchmark.tasks import Ending, Judge, Outcome, Task, is_full, lenient


@dataclass
class Performer:
    """Performs tasks one after another; keeps the last result in memory, since what rests on it often comes next."""

    executor: Executor
    store: Path
    warm: str = ""
    """Key of the stage whose arrays are in memory."""
    _arrays: Arrays = field(default_factory=dict)

    def perform(self, task: Task, progress: Progress, judge: Judge = lenient) -> Outcome:
        """Compute a stage and write its arrays. Nothing a stage does, short of killing the process, passes through as an exception."""
        started = now()
        self.executor.watcher = Watcher(task.stage.key, task.rungs, judge) if task.rungs else None
        try:
            result = self._computed(task, progress)
            file = write_arrays(self.store, task.stage.file_name, result.arrays)
        except Exception as error:  # the one place where a stage's failure, whatever it is, becomes a result
            return self._failure(error, task, started)
        self.warm, self._arrays = task.stage.key, result.arrays
        return Outcome("ok", file, result.facts, result.profile, self._context(task), started=started, ended=now())

    def _computed(self, task: Task, progress: Progress) -> StageResult:
        return self.executor.run(task.stage, self._parent(task), progress, task.execution)

    def _parent(self, task: Task) -> Arrays:
        if task.parent is None:
            return {}
        if task.stage.parent is not None and task.stage.parent.key == self.warm:
            return self._arrays
        return read_arrays(self.store, task.parent)

    def _failure(self, error: Exception, task: Task, started: float) -> Outcome:
        kind, message = failure_kind(error), str(error) or type(error).__name__
        return Outcome(
            _ending(error), context=self._context(task), kind=kind, message=message, log_tail=tail_of(error), started=started, ended=now()
        )

    def _context(self, task: Task) -> dict[str, object]:
        """Where and how: the machine, and the execution profile."""
        how = {"threads": task.execution.threads, "execution": task.execution.words}
        return {**self.executor.machine.context, **how, "precision": task.stage.chain[0].config["recipe"]["precision"]}


def _ending(error: Exception) -> Ending:
    if isinstance(error, DamagedFile):
        return "damaged"
    if isinstance(error, Pruned):
        return "pruned"
    if isinstance(error, DataError):
        return "no-data"
    return "no-room" if isinstance(error, OSError) and is_full(error) else "failed"
