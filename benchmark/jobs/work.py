"""Running one job: a process of its own, its output in a file, one at a time on a machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from benchmark.jobs.table import Job

WEBHOOK_VARIABLE = "SKEWBENCH_WEBHOOK"
"""A webhook's address is a secret: it goes by the environment, since a command line can be read by everybody on the machine."""
DELIVERED_VARIABLE = "SKEWBENCH_DELIVERED"
"""A file that a run touches when it has told its result: without it, somebody else must say how the run ended."""
GRACE_SECONDS = 30.0
"""What a run gets to stop in good order; what it has finished is kept in any case."""
WAIT_SECONDS = 0.5
"""How often a run that waits for another one looks whether it may begin."""


def command(job: Job, store: Path) -> list[str]:
    """What a job runs, as a process of this interpreter."""
    return [sys.executable, "-m", "benchmark", *words(job, store)]


def words(job: Job, store: Path) -> list[str]:
    """The same without the interpreter."""
    verb = ["gate", job.suite, "--against", job.against] if job.gate else ["run", job.suite]
    return [*verb, "--store", str(store), *job.arguments]


def environment(job: Job, base: Mapping[str, str]) -> dict[str, str]:
    """The variables of a job's process: what it was added with, over what the scheduler has."""
    path = os.pathsep.join(dict.fromkeys(filter(None, [str(Path(__file__).parents[2]), base.get("PYTHONPATH", "")])))
    webhook = {WEBHOOK_VARIABLE: job.webhook} if job.webhook else {}
    return {**base, "PYTHONPATH": path, **job.environment, **webhook}


def log_file(store: Path, name: str, at: float) -> Path:
    """Where a run's output goes."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return store / "schedule" / "logs" / f"{name}-{stamp}.log"


def delivered_file(log: Path) -> Path:
    """What a run touches that has told its result, beside its log."""
    return log.with_suffix(".delivered")


def perform(job: Job, store: Path, log: Path, stop: threading.Event) -> int:
    """Run a job to its end, or until `stop` is set: then it is interrupted, and killed if it does not end in time. Its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(job.folder)
    with log.open("ab") as out:
        process = subprocess.Popen(
            command(job, store),
            cwd=folder if folder.is_dir() else store,
            env={**environment(job, os.environ), DELIVERED_VARIABLE: str(delivered_file(log).resolve())},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None and not stop.wait(0.05):
                pass
            return _ended(process)
        finally:
            _kill(process)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code; of a process that still runs after it was asked to stop."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _kill(process)
    return process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """What is left of the process's session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def state_folder() -> Path:
    """`$XDG_STATE_HOME/skewbench`, by default `~/.local/state/skewbench`: what belongs to this machine and user."""
    given = os.environ.get("XDG_STATE_HOME", "")
    return (Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state") / "skewbench"


@contextlib.contextmanager
def machine(wait: threading.Event | None = None) -> Iterator[bool]:
    """Hold this machine for a scheduled run, whatever its store; False where another one is at it. The lock dies with its process.

    With `wait`, False only once that is set.
    """
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "schedule.lock").open("a") as lock:
        while not (is_ours := _locked(lock)) and wait is not None:
            if wait.wait(WAIT_SECONDS):  # a lock that blocks would hear nothing of it
                break
        yield is_ours


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def shown(arguments: Sequence[str]) -> str:
    """Options as one text, for a table."""
    return " ".join(arguments)


def now() -> float:
    """Unix seconds."""
    return time.time()
