"""The scheduler: looks at the table of jobs, runs what is due, one at a time; beside any server, or alone.

What was missed is made up for once. A job that was running when its scheduler died is run again at once: what it had finished is in the
store. Nothing is lost with this process: every decision stands in the table before it is acted upon.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.errors import SkewbenchError
from benchmark.jobs.table import Job, Ran, State, Table, ended
from benchmark.jobs.times import fires_after
from benchmark.jobs.work import log_file, machine, perform
from benchmark.owners import alive, ourselves

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
STOPPED = 130
"""Exit code of a run that was asked to stop."""
Work = Callable[[Job, Path, Path, threading.Event], int]
"""Job, store, log file, and the sign to stop; gives the exit code."""
Tell = Callable[[Job, Ran], None]


def _quiet(_job: Job, _ran: Ran) -> None:
    pass


@dataclass
class Scheduler:
    """The schedule of one store. Use as a context, or `start()` it and `stop()` it; or call `tick()` yourself."""

    store: Path
    clock: Callable[[], float] = time.time
    """Unix seconds: when jobs are due goes by this."""
    work: Work = perform
    tell: Tell = _quiet
    """Is told of every run that has ended, as to notify somebody."""
    poll: float = POLL_SECONDS
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _broken: list[tuple[str, float]] = field(default_factory=list)
    """Jobs that broke down where the table could not be written, and up to when everything that was due had been run."""

    @property
    def table(self) -> Table:
        return Table(self.store)

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Run what is due from now on, in a thread of its own."""
        assert self._thread is None, "started already"
        self._stop.clear()
        self._thread = threading.Thread(target=self._loop, name="skewbench-schedule", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End in good order: a run in progress is interrupted and begins anew with the next start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.tick()
            except (SkewbenchError, OSError) as error:  # as a full disk: said, and tried again
                log.error("schedule: %s", error)
            self._stop.wait(self.poll)

    def tick(self) -> list[Ran]:
        """Run everything that is due, the longest waiting first; what was run."""
        self._settle()
        found = []
        for job, _ in self.due():
            if self._stop.is_set():
                break
            ran = self.run(job)
            found += [ran] if ran else []
        return found

    def due(self) -> list[tuple[Job, float]]:
        """The jobs that should have begun by now and since when, the longest waiting first."""
        table, now = self.table, self.clock()
        since = [(job, when) for job in table.jobs().values() if (when := _due(job, table.state(job.name), now)) is not None]
        return sorted(since, key=lambda item: item[1])

    def run(self, job: Job, *, by_hand: bool = False, wait: bool = False) -> Ran | None:
        """Run a job now, if it is (still) due or asked for by hand, as the table has it now.

        None where it is not due or not there any more, or where this machine runs another one, unless `wait` says to let that end first.
        """
        with machine(self._stop if wait else None) as is_ours:
            now = self.table.jobs().get(job.name) if is_ours else None
            if now is None:
                return None
            when = _due(now, self.table.state(now.name), self.clock())
            if when is None and not by_hand:
                return None  # another scheduler of this store was quicker
            return self._run(now, 0.0 if by_hand else when or 0.0)

    def _run(self, job: Job, due: float) -> Ran:
        before = self.table.state(job.name).seen
        try:
            ran = self._recorded(job, due)
        except BaseException:  # as a full disk: this process lives on, so nobody would find that the job does not run any more
            self._broken.append((job.name, before))
            with contextlib.suppress(SkewbenchError, OSError):
                self._settle()
            raise
        self.tell(job, ran)
        return ran

    def _settle(self) -> None:
        """Make jobs that broke down due again; what the table does not take now is tried with the next tick."""
        while self._broken:
            name, seen = self._broken[-1]
            self.table.update(name, functools.partial(_freed, seen=seen))
            self._broken.pop()

    def _recorded(self, job: Job, due: float) -> Ran:
        started = self.clock()
        file = log_file(self.store, job.name, started)
        owner = ourselves()
        self.table.update(job.name, lambda state: replace(state, seen=max(state.seen, started), running=owner))
        code = self.work(job, self.store, file, self._stop)
        ran = Ran(due, started, self.clock(), STOPPED if self._stop.is_set() and code else code, str(file))
        if self._stop.is_set() and code:  # `running` stays: the next scheduler finds its owner dead and begins anew
            self.table.update(job.name, lambda state: replace(ended(state, ran), running=(owner[0], 0, 0.0)))
        else:
            self.table.update(job.name, lambda state: ended(state, ran))
        return ran


def _freed(state: State, seen: float) -> State:
    """The state as if this process had not begun the job; as it is where that is not what it says (any more)."""
    return replace(state, seen=seen, running=None) if state.running == ourselves() else state


def _due(job: Job, state: State, now: float) -> float | None:
    """Since when a job should be running, None if it need not."""
    if state.running is not None:
        return None if alive(*state.running) else state.seen
    first = next(fires_after(job, max(state.seen, job.added)))
    return first if first <= now else None
