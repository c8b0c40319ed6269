"""Time and peak memory of a stage, without a sampling thread."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

MIB = 2**20


class Meter:
    """Measures from its making to `read`: wall and CPU seconds, peak resident memory, peak device memory.

    On Linux the kernel's high-water mark (VmHWM) is reset at the start, so the host peak is this stage's own and exact; elsewhere it is the
    process's peak so far. Host memory is that of the whole process, interpreter and libraries included.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._exact = _reset_high_water_mark()
        if device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def read(self) -> Mapping[str, float]:
        """Seconds and MiB, units in the names."""
        found: dict[str, float] = {}
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self._device)
            found["peak_device_mib"] = torch.cuda.max_memory_allocated(self._device) / MIB
            found["peak_device_reserved_mib"] = torch.cuda.max_memory_reserved(self._device) / MIB
        found["seconds"] = time.perf_counter() - self._wall
        found["cpu_seconds"] = time.process_time() - self._cpu
        found["peak_host_mib"] = _high_water_mark() / MIB
        found["peak_host_exact"] = float(self._exact)
        return found


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water_mark() -> int:
    """Peak resident memory of this process, bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
