"""An engine in this very process: for tests, and for a debugger in a plug-in (`run --workers 0`). It isolates nothing."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.execute.loop import Progress as Told
from benchmark.execute.perform import Performer
from benchmark.tasks import Ended, Event, Judge, Progress, Slot, Task, lenient


class Inline:
    """Computes each task when it is started; the events wait to be fetched. Limits are not enforced."""

    def __init__(self, performer: Performer, judge: Judge = lenient) -> None:
        self._performer = performer
        self._judge = judge
        self._slot = Slot("this process", performer.executor.machine.device, performer.executor.machine.threads)
        self._events: list[Event] = []

    def idle(self) -> Sequence[Slot]:
        return () if self._events else (self._slot,)

    def warm(self, slot: Slot) -> str:  # noqa: ARG002  # there is one slot
        return self._performer.warm

    def start(self, slot: Slot, tasks: Sequence[Task]) -> None:  # noqa: ARG002
        for task in tasks:
            self._events.append(Ended(task.stage.key, self._performer.perform(task, self._progress(task.stage.key), self._judge)))

    def wait(self, seconds: float) -> list[Event]:  # noqa: ARG002
        events, self._events = self._events, []
        return events

    def _progress(self, key: str) -> Told:
        return lambda done, total, _=None: self._events.append(Progress(key, done, total))

    def close(self) -> None:
        self._events = []
