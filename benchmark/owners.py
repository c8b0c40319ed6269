"""Which process holds a claim, and whether it still lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def ourselves() -> tuple[str, int, float]:
    """Host, process number and the time this process began."""
    import psutil

    return socket.gethostname(), os.getpid(), psutil.Process().create_time()


def alive(host: str, pid: int, born: float) -> bool:
    """Whether the process that made a claim still runs. One of another host cannot: a store belongs to one machine and was moved here."""
    import psutil

    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - born) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a file's lock, waiting for whoever has it; it ends with its process."""
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
