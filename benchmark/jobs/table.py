"""The table of scheduled jobs: `STORE/schedule/jobs.json`, plain JSON under a lock, replaced whole, readable by its owner alone.

It is the truth about the schedule. What was due and what became of it stand beside the jobs, so that a scheduler that is killed, or a
machine that was off, goes on where it was: runs that were missed are made up for by one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.arrays import write_bytes
from benchmark.errors import LedgerError, UserError, unknown

VERSION = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
KEPT_RUNS = 100
"""Finished runs that are remembered for each job."""


@dataclass(frozen=True)
class Job:
    """A suite that is to be run, or checked against a baseline, at given times."""

    name: str
    suite: str
    """A shipped suite's name, or an absolute path."""
    cron: str
    timezone: str
    """By its name, as Europe/Berlin."""
    folder: str
    """Where it is run."""
    added: float
    """Unix seconds: nothing before is missed."""
    gate: bool = False
    against: str = "main"
    arguments: tuple[str, ...] = ()
    """Further options of `run` or `gate`."""
    webhook: str = ""
    """A secret: shown nowhere."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the run needs and that a bare scheduler lacks."""


@dataclass(frozen=True)
class Ran:
    """One run of a job."""

    due: float
    """When it should have begun; 0: started by hand."""
    started: float
    ended: float
    code: int
    """Exit code; negative: the signal that ended it."""
    log: str
    """File of its output."""


@dataclass(frozen=True)
class State:
    """How a job stands."""

    seen: float = 0.0
    """Up to when everything that was due has been run."""
    running: tuple[str, int, float] | None = None
    """Host, process and its birth of the scheduler that runs it now; one that is dead was interrupted."""
    ran: tuple[Ran, ...] = ()
    """The oldest first."""

    @property
    def last(self) -> Ran | None:
        return self.ran[-1] if self.ran else None


@dataclass(frozen=True)
class Table:
    """The jobs of a store."""

    store: Path

    @property
    def folder(self) -> Path:
        return self.store / "schedule"

    @property
    def file(self) -> Path:
        return self.folder / "jobs.json"

    def jobs(self) -> dict[str, Job]:
        """By name, in the order in which they were added."""
        return {name: _job(entry["job"]) for name, entry in self._read().items()}

    def job(self, name: str) -> Job:
        """One job; UserError with the nearest name if there is none."""
        found = self.jobs()
        if name not in found:
            raise UserError(unknown("job", name, found))
        return found[name]

    def state(self, name: str) -> State:
        """How a job stands; a blank one if it was removed meanwhile."""
        entry = self._read().get(name)
        return _state(entry["state"]) if entry else State()

    def add(self, job: Job) -> None:
        """A new job; UserError if the name cannot be one or is taken."""
        if not _NAME.fullmatch(job.name):
            raise UserError(
                f"'{job.name}' cannot name a job: use up to 64 small letters, digits, '.', '_' and '-', a letter or digit first (--name)."
            )
        with self._changing() as entries:
            if job.name in entries:
                raise UserError(f"there is a job '{job.name}' already: `skewbench schedule remove {job.name}`, or give another --name.")
            entries[job.name] = {"job": asdict(job), "state": asdict(State(seen=job.added))}

    def remove(self, name: str) -> Job:
        """Take a job out; UserError if there is none of this name. Its logs stay."""
        job = self.job(name)
        with self._changing() as entries:
            entries.pop(name, None)
        return job

    def update(self, name: str, change: Callable[[State], State]) -> None:
        """Change how a job stands; nothing if it was removed meanwhile."""
        with self._changing() as entries:
            if name in entries:
                entries[name]["state"] = asdict(change(_state(entries[name]["state"])))

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise LedgerError(f"{self.file} cannot be read: {error}. Move it away and add the jobs again.") from error
        if not isinstance(found, dict) or found.get("version") != VERSION:
            raise LedgerError(f"{self.file} was written by another version of skewbench: use that, or move the file away.")
        return dict(found["jobs"])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The entries, written back whole when the block ends well. Other processes wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self._read()
            yield entries
            write_bytes(self.file, json.dumps({"version": VERSION, "jobs": entries}, indent=1).encode())  # 0600: a job may name a webhook


def ended(state: State, ran: Ran) -> State:
    """The state after a run."""
    return replace(state, running=None, ran=(*state.ran, ran)[-KEPT_RUNS:])


def _job(entry: Mapping[str, Any]) -> Job:
    return Job(**{**entry, "arguments": tuple(entry["arguments"])})


def _state(entry: Mapping[str, Any]) -> State:
    running = entry["running"]
    return State(entry["seen"], tuple(running) if running else None, tuple(Ran(**ran) for ran in entry["ran"]))
