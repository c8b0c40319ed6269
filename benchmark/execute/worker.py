"""A worker process: tasks as JSON lines on standard input, events as JSON lines on standard output, everything else on standard error.

It imports torch once and never mlflow, lives as long as its parent, and is killed by it where a stage goes wrong.
Start it as `python -m benchmark.execute.worker`; the first line is the setup.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import faulthandler
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from benchmark import registry
from benchmark.errors import UserError
from benchmark.execute.curves import points_between
from benchmark.records import Folders
from benchmark.tasks import Reported, Task

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.execute.perform import Performer

PROGRESS_SECONDS = 0.2
"""Signs of life are sent no more often than this."""
MIB = 2**20


def main() -> None:
    """Set up from the first line, then work until standard input ends."""
    channel = _own_channel()
    _die_with_parent()
    faulthandler.enable()  # a crash in C code leaves a traceback in the log
    first = sys.stdin.readline()
    if not first:  # the parent is gone already
        return
    setup = json.loads(first)
    gc.disable()  # nothing is garbage of what importing makes: to look through it took a fifth of its time, and half a second at the end
    try:
        performer = _prepared(setup)
    except UserError as error:
        _send(channel, {"event": "refused", "message": str(error)})
        return
    gc.freeze()
    gc.enable()
    _send(channel, {"event": "ready"})
    for line in sys.stdin:
        for document in json.loads(line):
            _work(performer, Task.from_document(document), channel)
    gc.freeze()


def _prepared(setup: Mapping[str, Any]) -> Performer:
    import torch._dynamo  # noqa: F401  # any optimizer imports it when it is made

    from benchmark.execute.context import choose_machine
    from benchmark.execute.perform import Performer
    from benchmark.execute.stages import Executor

    for folder in setup["plugins"]:
        registry.load_folder(Path(folder))
    machine = choose_machine(setup["device"], setup["threads"])
    return Performer(Executor(machine, Folders.from_document(setup["folders"])), Path(setup["store"]))


def _work(performer: Performer, task: Task, channel: TextIO) -> None:
    key, last, told = task.stage.key, 0.0, 0
    _send(channel, {"event": "began", "key": key})

    def progress(done: int, total: int, losses: Tensor | None = None) -> None:
        nonlocal last, told
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            points = points_between(losses, total, told, done) if losses is not None else []
            told = done
            _send(channel, {"event": "progress", "key": key, "done": done, "total": total, "points": points})

    def judge(reported: Reported) -> bool:
        """Ask the parent, and wait: nothing else can stand in the input of a worker at work."""
        _send(channel, {"event": "reported", **dataclasses.asdict(reported)})
        return bool(json.loads(sys.stdin.readline() or '{"go_on": false}')["go_on"])

    with _memory_limit(task.limits.memory_mib, performer.executor.machine.device):
        outcome = performer.perform(task, progress, judge)
    _send(channel, {"event": "ended", "key": key, "outcome": outcome.document})


def _send(channel: TextIO, message: Mapping[str, Any]) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _own_channel() -> TextIO:
    """Standard output for events alone: what a plug-in prints goes to the log."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _die_with_parent() -> None:
    """On Linux the kernel kills this process when its parent dies, whatever it is doing then; elsewhere the end of its input does."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:  # it died in between
        os._exit(1)


@contextlib.contextmanager
def _memory_limit(limit_mib: float | None, device: str) -> Iterator[None]:
    """Let private memory grow to the limit at most: an allocation beyond it fails, which is kinder than a kill.

    With CUDA only the parent watches: its driver reserves address space that is never used.
    """
    if limit_mib is None or not sys.platform.startswith("linux") or device != "cpu":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    data, resident = (int(status[name].split()[0]) * 1024 for name in ("VmData", "VmRSS"))
    room = max(limit_mib * MIB - resident, 0)
    resource.setrlimit(resource.RLIMIT_DATA, (int(data + room), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


if __name__ == "__main__":
    main()
