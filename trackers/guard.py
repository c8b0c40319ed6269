"""Ends a server when the process that started it is gone, however it went: a program that reads until its input ends.

Run by its path, `python -P guard.py PID`: it imports nothing of ours, so that it starts wherever its parent did.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psutil

STOP_SECONDS = 10.0


def end(server: psutil.Process) -> None:
    """End a leader of a process group and all that it started: politely first, and by force after a while, or at once if interrupted."""
    processes = []
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = [server, *server.children(recursive=True)]
    try:
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.terminate()
        psutil.wait_procs(processes, timeout=STOP_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the group is empty when all went well
            os.killpg(server.pid, signal.SIGKILL)


def main() -> None:
    """Wait for the end of the input; then end the server, if it has not ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        server = psutil.Process(int(sys.argv[1]))
        sys.stdin.buffer.read()
        if server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
            end(server)


if __name__ == "__main__":
    main()
