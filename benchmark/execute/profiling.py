"""Time, memory and energy of a stage, without a sampling thread, and how undisturbed the machine was meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.execute import nvml
from benchmark.execute.loop import EVALUATION_BATCH

MIB = 2**20
SWITCH = "SKEWBENCH_PROFILING"
"""Environment variable: `off` leaves all but time out. For the benchmark of what profiling costs."""
FOREIGN_LIMIT, STEAL_LIMIT, LOADER_LIMIT = 0.05, 0.01, 0.1
"""Shares above which a measurement is flagged: of the cores by other processes, by the hypervisor; of the time spent on making batches."""


class Meter:
    """Measures from its making to `read`. Units stand in the names; what cannot be measured here is absent, never 0.

    On Linux the kernel's high-water mark (VmHWM) is reset at the start, so the host peak is this stage's own and exact; elsewhere it is the
    process's peak so far. `peak_host_mib` is that of the whole process, interpreter and libraries included; `own_host_mib` is what was
    added to what the process held at the start. Device memory: allocated by tensors, reserved by torch's allocator, and all of the
    device's as NVML sees it, other processes included. Flags are 1 or 0: see `flags`.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._is_on = os.environ.get(SWITCH) != "off"
        self._exact = self._is_on and _reset_high_water_mark()
        self._resident = _status("VmRSS") if self._is_on else None
        if device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        self._gpu = nvml.Counter(_uuid(device)) if device.startswith("cuda") and self._is_on else None
        self._machine = Machine.now() if self._is_on else None
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def read(self) -> Mapping[str, float]:
        """What has been measured: the stage's `profile`."""
        found: dict[str, float] = {}
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self._device)
            found["peak_device_mib"] = torch.cuda.max_memory_allocated(self._device) / MIB
            found["peak_device_reserved_mib"] = torch.cuda.max_memory_reserved(self._device) / MIB
        found["seconds"] = time.perf_counter() - self._wall
        found["cpu_seconds"] = time.process_time() - self._cpu
        if not self._is_on:
            return found
        peak = _high_water_mark()
        found |= {"peak_host_mib": peak / MIB, "peak_host_exact": float(self._exact)}
        if self._exact and self._resident is not None:
            found["own_host_mib"] = max(0, peak - self._resident) / MIB
        gpu = self._gpu.read(found["seconds"]) if self._gpu else {}
        assert self._machine is not None
        return found | gpu | flags(self._machine, Machine.now(), found, throttled=bool(gpu.get("gpu_throttled")))


@dataclass(frozen=True)
class Machine:
    """Counters of the machine, in seconds of CPU time since boot; those that the system does not keep are 0."""

    busy: float
    steal: float
    throttled: int
    cores: int
    load: float

    @classmethod
    def now(cls) -> Machine:
        tick = os.sysconf("SC_CLK_TCK")
        with contextlib.suppress(OSError, ValueError, IndexError):
            user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
            return cls((user + nice + system + irq + softirq) / tick, steal / tick, _throttled(), os.cpu_count() or 1, os.getloadavg()[0])
        return cls(0.0, 0.0, 0, os.cpu_count() or 1, os.getloadavg()[0])


def flags(before: Machine, after: Machine, found: Mapping[str, float], *, throttled: bool = False) -> dict[str, float]:
    """Shares of steal and of other processes' CPU, load, and the flags `contended` and `throttled`.

    Workers of the same suite count as others: a time that is measured beside them is contended.
    """
    span = max(found["seconds"], 1e-9) * after.cores
    steal = (after.steal - before.steal) / span
    foreign = max(0.0, after.busy - before.busy - found["cpu_seconds"]) / span
    is_contended = steal > STEAL_LIMIT or foreign > FOREIGN_LIMIT
    is_throttled = throttled or after.throttled > before.throttled
    shares = {"steal_share": max(0.0, steal), "foreign_share": foreign, "load": after.load}
    return {**shares, "contended": float(is_contended), "throttled": float(is_throttled)}


def _throttled() -> int:
    """How often the control group has been held back by its CPU quota."""
    for file in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"):
        with contextlib.suppress(OSError):
            for line in Path(file).read_text().splitlines():
                if line.startswith("nr_throttled "):
                    return int(line.split()[1])
    return 0


def _uuid(device: str) -> str:
    import torch

    return str(torch.cuda.get_device_properties(device).uuid)


def _reset_high_water_mark() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _high_water_mark() -> int:
    """Peak resident memory of this process, bytes."""
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(name: str) -> int | None:
    """A figure of /proc/self/status in bytes, None where there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return None


def rates(profile: Mapping[str, float]) -> dict[str, float]:
    """A profile with what follows from it: images a second and milliseconds a batch, without warm-up; whether making batches held it up."""
    found = dict(profile)
    if "steady_steps" in found:
        steps, seconds, batch = found["steady_steps"], found["steady_seconds"], found.pop("batch")
        found |= {"images_per_second": steps * batch / seconds, "ms_per_batch": 1000 * seconds / steps}
        found["loader_bound"] = float(found["data_seconds"] / (found["seconds"] - found.get("monitor_seconds", 0.0)) > LOADER_LIMIT)
    elif "images" in found:
        images = found.pop("images")
        found |= {"images_per_second": images / found["seconds"], "ms_per_batch": 1000 * found["seconds"] * EVALUATION_BATCH / images}
    return found
