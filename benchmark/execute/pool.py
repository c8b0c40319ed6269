"""Local worker processes: persistent, isolated, and killed hard where they must be. The parent owns the clock.

No kept library isolates a crash, enforces a time limit and kills the whole process tree; see the README, *How it is built*.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import SkewbenchError, UserError
from benchmark.execute.process import WorkerProcess
from benchmark.failures import NOT_FINITE, OUT_OF_MEMORY_HOST, TIMEOUT, death_kind
from benchmark.ledger import now
from benchmark.records import Folders
from benchmark.tasks import Ended, Event, Judge, Outcome, Progress, Reported, Slot, Task, lenient

STARTUP_SECONDS = 600
"""How long a worker may take to be ready: its imports, on a cold and busy disk."""
STALL_SECONDS = 3600
"""A stage that gives no sign of life for so long is taken for hung, also where there is no time limit."""
LOOK_SECONDS = 0.25
"""How often memory and clocks are looked at."""


class WorkerError(SkewbenchError):
    """Workers cannot be started here."""


class Pool:
    """An engine of one worker process per slot."""

    def __init__(
        self,
        slots: Sequence[Slot],
        store: Path,
        folders: Folders,
        *,
        plugins: Sequence[Path] = (),
        environment: Callable[[Slot], Mapping[str, str]] = lambda _: {},
        judge: Judge = lenient,
    ) -> None:
        """`environment`: what a worker's environment has beyond ours; `judge`: says whether a training that has rungs goes on."""
        self._judge = judge
        self._setup = {"store": str(store.resolve()), "folders": folders.document, "plugins": [str(folder) for folder in plugins]}
        self._logs = store / "logs"
        self._environment = environment
        self._selector = selectors.DefaultSelector()
        self._workers: dict[str, WorkerProcess] = {}
        self._events: list[Event] = []
        for slot in slots:
            self._spawn(slot)

    # -- the engine's contract

    def idle(self) -> Sequence[Slot]:
        """Ready ones first: work given to one that still imports begins when it is ready."""
        return [w.slot for w in sorted(self._workers.values(), key=lambda w: not w.ready) if not w.tasks]

    def warm(self, slot: Slot) -> str:
        return self._workers[slot.name].warm

    def start(self, slot: Slot, tasks: Sequence[Task]) -> None:
        self._workers[slot.name].give(tasks)

    def wait(self, seconds: float) -> list[Event]:
        until = time.monotonic() + seconds
        while True:
            left = max(0.0, until - time.monotonic())
            for key, _ in self._selector.select(0 if self._events else min(left, LOOK_SECONDS)):
                self._read(key.data)
            for worker in list(self._workers.values()):
                self._watch(worker)
            if self._events or time.monotonic() >= until:
                events, self._events = self._events, []
                return events

    def close(self) -> None:
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:  # all at once: leaving takes a process that has imported torch a moment
            worker.dismiss()
        for worker in workers:
            worker.end()
        self._selector.close()

    # -- workers

    def _spawn(self, slot: Slot) -> None:
        setup = {**self._setup, "device": slot.device, "threads": slot.threads}
        worker = WorkerProcess(slot, setup, self._logs, self._environment(slot))
        self._workers[slot.name] = worker
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _replace(self, worker: WorkerProcess) -> None:
        """A new process in place of one that is dead, stuck or suspect; tasks that the old one had left come back as lost."""
        self._retire(worker)
        self._events += [Ended(task.stage.key, Outcome("lost", message="its worker was replaced")) for task in worker.tasks]
        self._spawn(worker.slot)

    def _retire(self, worker: WorkerProcess) -> None:
        if not worker.output.closed:  # not retired before
            self._selector.unregister(worker.output)
            worker.kill()

    def _read(self, worker: WorkerProcess) -> None:
        """Take in what a worker says; the end of its output is its death."""
        messages = worker.messages()
        if messages is None:
            self._died(worker)
            return
        for message in messages:
            self._hear(worker, message)

    def _hear(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        worker.sign_of_life()
        if message["event"] == "refused":
            self.close()
            raise UserError(message["message"])
        if message["event"] == "began":
            worker.began()
        elif message["event"] == "progress":
            self._events.append(
                Progress(message["key"], message["done"], message["total"], tuple((int(at), float(loss)) for at, loss in message["points"]))
            )
        elif message["event"] == "reported":
            worker.answer(go_on=self._judge(Reported(message["key"], message["percent"], message["value"])))
        elif message["event"] == "ended":
            outcome = Outcome.from_document(message["outcome"])
            self._events.append(Ended(message["key"], outcome))
            worker.finished(message["key"], ok=outcome.ending == "ok")
            if outcome.ending == "failed" and outcome.kind != NOT_FINITE:  # who knows what it has left behind in the process
                self._replace(worker)

    def _died(self, worker: WorkerProcess) -> None:
        returncode, by_kernel = worker.reap()
        kind, message = death_kind(returncode, by_kernel=by_kernel)
        if not worker.ready:
            tail = worker.log_tail()  # its log goes with it
            self.close()
            raise WorkerError(f"a worker could not start ({kind}). The end of its log:\n{tail}")
        self._stop(worker, kind, message)

    def _watch(self, worker: WorkerProcess) -> None:
        """Enforce the limits of the task at work."""
        if not worker.ready and worker.silent_for > STARTUP_SECONDS:
            tail = worker.log_tail()
            self.close()
            raise WorkerError(f"a worker was not ready after {STARTUP_SECONDS} s. The end of its log:\n{tail}")
        limits = worker.limits
        if limits is None:
            return
        if limits.seconds is not None and worker.at_work_for > limits.seconds:
            self._stop(worker, TIMEOUT, f"stopped at its time limit of {limits.seconds:g} s")
        elif worker.silent_for > STALL_SECONDS:
            self._stop(worker, TIMEOUT, f"stopped after {STALL_SECONDS} s without a sign of life")
        elif limits.memory_mib is not None and worker.memory_mib() > limits.memory_mib:
            self._stop(worker, OUT_OF_MEMORY_HOST, f"stopped at its memory limit of {limits.memory_mib:g} MiB")

    def _stop(self, worker: WorkerProcess, kind: str, message: str) -> None:
        """End the task at work as a failure, and its worker with it."""
        self._retire(worker)  # before its log is read
        if worker.tasks:
            key = worker.tasks.pop(0).stage.key
            failure = Outcome("failed", kind=kind, message=message, log_tail=worker.log_tail(), started=worker.started, ended=now())
            self._events.append(Ended(key, failure))
        self._replace(worker)
