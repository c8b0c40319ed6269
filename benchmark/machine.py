"""This machine: what it has, and what has been measured of it, kept in a file of the cache."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.arrays import write_bytes
from benchmark.identity import canonical, digest

_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max", None),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


def usable_cores() -> int:
    """Cores that this process may use: by affinity, and by the quota of its control group (versions 1 and 2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(max(1, min(cores, _quota())))


def _quota() -> float:
    for file, period_file in _QUOTAS:
        try:
            words = Path(file).read_text().split()
            period = Path(period_file).read_text() if period_file else words[1]
        except (OSError, IndexError):
            continue
        if words[0] not in ("max", "-1"):
            return max(1.0, int(words[0]) / int(period))
    return float("inf")


def give_way() -> None:
    """Lowest priority for this process, against other sessions too: with autogroups (Linux) `nice` counts within its own session only."""
    os.nice(19)
    with contextlib.suppress(OSError):  # no autogroups here, or not ours to change: then nice is all there is
        Path("/proc/self/autogroup").write_text("19")


def describe() -> dict[str, Any]:
    """What measurements depend on. Where any of it differs, they are made again."""
    import psutil

    from benchmark.execute.context import processor

    return {
        "host": socket.gethostname(),
        "processor": processor(),
        "usable_cores": usable_cores(),
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
    }


@dataclass
class Measurements:
    """What has been measured here: JSON in `machine/<digest>.json` of the cache folder, replaced whole."""

    file: Path
    machine: Mapping[str, Any]
    content: dict[str, Any]

    @classmethod
    def load(cls, cache: Path) -> Measurements:
        """Those of this machine; empty where there are none, or where the file cannot be read."""
        machine = describe()
        file = cache / "machine" / f"{digest(canonical(machine))}.json"
        try:
            content = json.loads(file.read_text())["measured"]
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged: it is measured again
            content = {}
        return cls(file, machine, content if isinstance(content, dict) else {})

    def get(self, kind: str, key: str) -> Any:
        """One measurement, or None."""
        return self.content.get(kind, {}).get(key)

    def keep(self, kind: str, key: str, document: Any) -> None:
        """Keep one measurement, on disk too."""
        self.content.setdefault(kind, {})[key] = document
        text = json.dumps({"machine": self.machine, "measured": self.content}, indent=1)
        write_bytes(self.file, text.encode())
