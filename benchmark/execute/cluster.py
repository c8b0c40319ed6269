"""An engine on a Ray cluster: the same worker processes, each held by an actor; results come back to the one writer.

Ray retries nothing here: what is lost with a node is told as lost, and the runner computes it again. Data sets must be there on every node
(SKEWBENCH_DATA); their fingerprint is checked. The version of skewbench must be the same everywhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.arrays import write_bytes
from benchmark.errors import SkewbenchError, UserError
from benchmark.execute.pool import Pool
from benchmark.execution import worker_environment
from benchmark.places import default_folders
from benchmark.records import Folders
from benchmark.tasks import Ended, Event, Limits, Outcome, Slot, Task

PATIENCE_SECONDS = 120
"""How long to wait for any node at all before giving up."""
EXTRA = "--executor ray needs Ray, which is not installed: pip install 'skewbench[ray]'."


class ClusterError(SkewbenchError):
    """The cluster cannot do what is asked of it."""


@dataclass(frozen=True)
class Site:
    """What the driver works with."""

    store: Path
    folders: Folders
    plugins: Sequence[Path] = ()


class Host:
    """An actor: one worker process and a store of its own on some node."""

    def __init__(self, slot: Slot, data: Sequence[str], suite: str | None, plugins: Sequence[str]) -> None:
        own = default_folders()
        folders = Folders(tuple(dict.fromkeys([*own.data, *map(Path, data)])), own.cache, Path(suite) if suite else None)
        self._store = Path(tempfile.mkdtemp(prefix="skewbench-"))
        self._slot = slot
        self._pool = Pool([slot], self._store, folders, plugins=[Path(each) for each in plugins], environment=worker_environment)

    def ready(self) -> bool:
        """Whether the actor has been placed and made."""
        return True

    def perform(self, document: Mapping[str, Any], parent: bytes | None) -> tuple[dict[str, Any], bytes | None]:
        """Compute a task from its parent's file; the outcome and the file of its arrays."""
        task = Task.from_document(document)
        if task.parent is not None and parent is not None:
            write_bytes(self._store / task.parent.path, parent)
        self._pool.start(self._slot, [task])
        outcome = self._outcome(task.stage.key)
        data = (self._store / outcome.file.path).read_bytes() if outcome.file else None
        shutil.rmtree(self._store / "arrays", ignore_errors=True)
        return outcome.document, data

    def _outcome(self, key: str) -> Outcome:
        while True:
            for event in self._pool.wait(1.0):
                if isinstance(event, Ended) and event.key == key:
                    return event.outcome

    def stop(self) -> None:
        """End the worker."""
        self._pool.close()
        shutil.rmtree(self._store, ignore_errors=True)


class RayEngine:
    """An engine of one actor per slot."""

    def __init__(self, ray: Any, slots: Sequence[Slot], site: Site, limits: Limits) -> None:
        self._ray, self._store, self._limits = ray, site.store, limits
        suite = site.folders.suite
        self._setup = ([str(folder) for folder in site.folders.data], str(suite) if suite else None, [str(each) for each in site.plugins])
        self._slots = {slot.name: slot for slot in slots}
        self._actors: dict[str, Any] = {}
        self._pending: dict[Any, str] = {}
        """Slots whose actor is being placed, by the reference that will say so."""
        self._flight: dict[Any, tuple[str, Task]] = {}
        self._alone_since = time.monotonic()
        for slot in slots:
            self._place(slot)

    def idle(self) -> Sequence[Slot]:
        busy = {name for name, _ in self._flight.values()} | set(self._pending.values())
        return [slot for name, slot in self._slots.items() if name not in busy]

    def warm(self, slot: Slot) -> str:  # noqa: ARG002  # files come from the writer each time
        return ""

    def start(self, slot: Slot, tasks: Sequence[Task]) -> None:
        for task in tasks:
            parent = (self._store / task.parent.path).read_bytes() if task.parent else None
            reference = self._actors[slot.name].perform.remote(task.document, parent)
            self._flight[reference] = slot.name, task

    def wait(self, seconds: float) -> list[Event]:
        waiting = [*self._flight, *self._pending]
        if not waiting:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=seconds)
        events: list[Event] = []
        for reference in ready:
            if reference in self._pending:
                self._placed(reference)
            else:
                events.append(self._ended(reference))
        if self._flight or self.idle():
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > PATIENCE_SECONDS:
            raise ClusterError(f"no node of the cluster has taken work for {PATIENCE_SECONDS} s. Everything finished is kept.")
        return events

    def close(self) -> None:
        for actor in self._actors.values():
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)  # its worker dies with it
        self._actors.clear()
        self._ray.shutdown()

    def _place(self, slot: Slot) -> None:
        is_gpu = slot.device.startswith("cuda")
        demand: dict[str, Any] = {"num_cpus": slot.threads, "num_gpus": 1 if is_gpu else 0}
        if self._limits.memory_mib is not None:
            demand["memory"] = int(self._limits.memory_mib * 2**20)
        remote = self._ray.remote(Host).options(max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD", **demand)
        actor = remote.remote(slot, *self._setup)
        self._actors[slot.name] = actor
        self._pending[actor.ready.remote()] = slot.name

    def _placed(self, reference: Any) -> None:
        name = self._pending.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise ClusterError(f"a worker could not be made on the cluster: {error}") from error
        except self._ray.exceptions.RayError:  # its node is gone already: try another
            self._place(self._slots[name])

    def _ended(self, reference: Any) -> Ended:
        name, task = self._flight.pop(reference)
        key = task.stage.key
        try:
            document, data = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise ClusterError(f"a worker failed on the cluster: {error}") from error
        except self._ray.exceptions.RayError as error:  # the actor, its node or the result is lost
            self._place(self._slots[name])
            return Ended(key, Outcome("lost", message=type(error).__name__))
        outcome = Outcome.from_document(document)
        if outcome.file is not None and data is not None:
            write_bytes(self._store / outcome.file.path, data)
        return Ended(key, outcome)


def make_cluster(address: str, like: Slot, site: Site, limits: Limits, *, workers: int | None = None) -> RayEngine:
    """The engine for `ray` (a cluster of this machine, made for the run) or `ray://auto`, `ray://HOST:PORT` (one that runs; this machine is
    one of its nodes, and the port is that of its head's GCS). `like`: device and threads of a worker.

    UserError where Ray or the resources are missing.
    """
    word, _, place = address.partition("://")
    if word != "ray":
        raise UserError(f"--executor {address}: expected local, ray or ray://ADDRESS.")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise UserError(EXTRA) from None
    try:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address=place, **quiet) if place else ray.init(include_dashboard=False, **quiet)
    except ConnectionError as error:
        raise UserError(f"--executor {address}: no Ray cluster answers there: {error}") from error
    resources: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # untyped in Ray
    return RayEngine(ray, cluster_slots(resources, like, limits, workers), site, limits)


def cluster_slots(resources: Mapping[str, float], like: Slot, limits: Limits, workers: int | None) -> tuple[Slot, ...]:
    """As many slots as the cluster has room for, each like the given one; UserError where it has room for none."""
    is_gpu = like.device.startswith("cuda")
    wanted = {"CPU": float(like.threads), **({"GPU": 1.0} if is_gpu else {})}
    if limits.memory_mib is not None:
        wanted["memory"] = limits.memory_mib * 2**20
    lacking = [name for name, number in wanted.items() if resources.get(name, 0.0) < number]
    if lacking:
        asked = ", ".join(f"{number:g} {name}" for name, number in wanted.items())
        has = ", ".join(f"{resources.get(name, 0.0):g} {name}" for name in wanted)
        raise UserError(f"--executor ray: a worker needs {asked}; the whole cluster has {has}.")
    room = min(int(resources[name] // number) for name, number in wanted.items())
    number = min(room, workers) if workers else room
    return tuple(Slot(f"ray {index + 1}", "cuda:0" if is_gpu else "cpu", like.threads) for index in range(number))
