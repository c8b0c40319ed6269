"""The kinds under which failures are counted and retried."""

from __future__ import annotations

import signal
import traceback

LOG_TAIL = 4000
"""Characters of a failure's traceback or log that are kept."""

OUT_OF_MEMORY_DEVICE = "out-of-memory-device"
OUT_OF_MEMORY_HOST = "out-of-memory-host"
NOT_FINITE = "not-finite"
TIMEOUT = "timeout"
PRUNED = "pruned"
"""Not a failure: what a judge has stopped."""

_HOST_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "Cannot allocate memory")


def failure_kind(error: BaseException) -> str:
    """Of an exception: out-of-memory-device, out-of-memory-host, not-finite, pruned, or error (type)."""
    name, text = type(error).__name__, str(error)
    if name == "OutOfMemoryError" or "CUDA out of memory" in text:  # torch's, known by name: nothing here imports torch
        return OUT_OF_MEMORY_DEVICE
    if isinstance(error, MemoryError) or any(words in text for words in _HOST_MEMORY):
        return OUT_OF_MEMORY_HOST
    own = {"NotFinite": NOT_FINITE, "Pruned": PRUNED}
    return own.get(name, f"error ({name})")


def death_kind(returncode: int, *, by_kernel: bool) -> tuple[str, str]:
    """Kind and message of a process that died at its work: of a signal, or by leaving. `by_kernel`: its memory ran out."""
    if by_kernel:
        return OUT_OF_MEMORY_HOST, "the kernel killed the worker because memory ran out (of the machine or of its control group)"
    if returncode >= 0:
        return f"exited ({returncode})", f"the worker left with exit code {returncode} in the middle of the stage"
    number = -returncode
    name = signal.Signals(number).name if number in signal.valid_signals() and number < signal.SIGRTMIN else f"signal {number}"
    if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        return f"killed ({name})", f"the worker was killed from outside by {name}"
    return f"crashed ({name})", f"the worker crashed with {name}"


def tail_of(error: BaseException) -> str:
    """The end of an exception's traceback."""
    return "".join(traceback.format_exception(error))[-LOG_TAIL:]
