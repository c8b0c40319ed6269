"""One worker process as its parent sees it: pipes, clock, memory, death."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from benchmark.failures import LOG_TAIL
from benchmark.ledger import now
from benchmark.tasks import Limits, Slot, Task

GRACE_SECONDS = 2.0
"""Between asking a process group to end and killing it."""
MEMORY_SECONDS = 0.25
"""How old a memory figure may be."""
MIB = 2**20


class WorkerProcess:
    """A child in a session of its own, so that it can be killed with all it has started."""

    def __init__(self, slot: Slot, setup: Mapping[str, Any], logs: Path, environment: Mapping[str, str]) -> None:
        self.slot = slot
        self.ready = False
        self.warm = ""
        self.tasks: list[Task] = []
        """Given and not ended, in order: the first is at work."""
        self.started = now()
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', slot.name)}-{os.getpid()}.log"
        self._process = self._start(environment)
        self._buffer = b""
        self._began: float | None = None
        self._heard = self._looked = time.monotonic()
        self._memory = 0.0
        self._out_of_memory = _OutOfMemory(self._process.pid)
        self._write(json.dumps(setup))

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "benchmark.execute.worker"]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
            )

    @property
    def output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    # -- what it says

    def messages(self) -> list[Mapping[str, Any]] | None:
        """What has arrived, or None at the end of its output. Call it when there is something to read."""
        data = os.read(self.output.fileno(), 1 << 20)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def sign_of_life(self) -> None:
        self.ready = True
        self._heard = time.monotonic()

    def began(self) -> None:
        """The first task has begun: its clock starts."""
        self._began = time.monotonic()
        self.started = now()
        self._out_of_memory.look()

    def finished(self, key: str, *, ok: bool) -> None:
        """The first task has ended."""
        assert self.tasks[0].stage.key == key, f"{self.slot.name} answered for {key}, which it was not given"
        self.tasks.pop(0)
        self._began = None
        self.warm = key if ok else self.warm

    # -- what it is given

    def give(self, tasks: Sequence[Task]) -> None:
        self.tasks += tasks
        self._write(json.dumps([task.document for task in tasks]))

    def answer(self, *, go_on: bool) -> None:
        """What its training, which waits for it, asked at a rung."""
        self._write(json.dumps({"go_on": go_on}))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has just died: the end of its output says so
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    # -- how it does

    @property
    def limits(self) -> Limits | None:
        """Those of the task at work, None while there is none."""
        return self.tasks[0].limits if self.tasks and self._began is not None else None

    @property
    def at_work_for(self) -> float:
        return time.monotonic() - self._began if self._began is not None else 0.0

    @property
    def silent_for(self) -> float:
        return time.monotonic() - self._heard

    def memory_mib(self) -> float:
        """Resident memory of the process and of those it has started."""
        import psutil

        if time.monotonic() - self._looked > MEMORY_SECONDS:
            self._looked = time.monotonic()
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(self.pid)
                self._memory = sum(_resident(each) for each in (process, *process.children(recursive=True))) / MIB
        return self._memory

    def log_tail(self) -> str:
        """The end of what it has printed."""
        with contextlib.suppress(OSError):
            lines = self._log.read_bytes()[-16 * LOG_TAIL :].decode(errors="replace").splitlines(keepends=True)
            return "".join(line for line in lines if not line.startswith("Extension modules:"))[-LOG_TAIL:]  # faulthandler's, long
        return ""

    # -- how it ends

    def reap(self) -> tuple[int, bool]:
        """Exit code (negative: signal) of a process whose output has ended, and whether the kernel killed it for its memory."""
        try:
            returncode = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it has closed its output and lives on
            self.kill()
            returncode = self._process.wait()
        return returncode, returncode == -signal.SIGKILL and self._out_of_memory.happened()

    def dismiss(self) -> None:
        """Tell an idle worker that it may leave."""
        assert self._process.stdin is not None
        if self.ready and not self.tasks:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def end(self) -> None:
        """Let an idle worker leave by itself and kill a busy one; remove the log of one that has nothing to tell."""
        if self.tasks or not self.ready:
            self.kill()
        else:
            self.dismiss()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
            self.kill()
        self._log.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process, its group, and descendants that have left it: asked first, killed after a grace. Its pipes are closed."""
        import psutil

        descendants: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            descendants = psutil.Process(self.pid).children(recursive=True)
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self.output.close()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)  # the group outlives its leader while a member lives


class _OutOfMemory:
    """Counters of the kernel's out-of-memory kills: those of the process's control group, and the machine's."""

    def __init__(self, pid: int) -> None:
        self._files = [file for file in (*_group_files(pid), Path("/proc/vmstat")) if file.exists()]
        self._before = self._last = self._counts()

    def look(self) -> None:
        """A task has begun. Those of the task before are kept: a busy parent may hear of a beginning after the kill that ended it."""
        self._before, self._last = self._last, self._counts()

    def happened(self) -> bool:
        return any(now > before for now, before in zip(self._counts(), self._before, strict=True))

    def _counts(self) -> list[int]:
        return [_count(file) for file in self._files]


def _group_files(pid: int) -> list[Path]:
    """Where versions 1 and 2 of control groups count the kills."""
    found = []
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                found.append(Path("/sys/fs/cgroup") / path.lstrip("/") / "memory.events")
            elif "memory" in controllers.split(","):
                found.append(Path("/sys/fs/cgroup/memory") / path.lstrip("/") / "memory.oom_control")
    return found


def _count(file: Path) -> int:
    with contextlib.suppress(OSError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def _resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
