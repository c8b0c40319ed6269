"""Two arms interleaved in one run: the median of the paired ratios, with a bootstrap interval. Nothing is asserted here."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

STEAL_LIMIT = 0.01
"""Share of the machine's time taken by others during a pair above which the pair is thrown away and counted."""


def compare(name: str, arms: dict[str, Callable[[], float]], *, pairs: int) -> dict[str, object]:
    """Seconds of both arms in the order AB BA AB …; the ratio first / second."""
    (first, second), times, discarded = arms, [], 0
    while len(times) < pairs:
        before, begun = _stolen(), time.perf_counter()
        order = (first, second) if len(times) % 2 == 0 else (second, first)
        found = {arm: arms[arm]() for arm in order}
        if _stolen() - before > STEAL_LIMIT * (time.perf_counter() - begun) * (os.cpu_count() or 1):
            discarded += 1
            if discarded > 2 * pairs:
                raise SystemExit(f"{name}: the machine is too busy: {discarded} pairs thrown away")
            continue
        times.append((found[first], found[second]))
        print(f"{name}: pair {len(times)}/{pairs}: {found[first]:.3f} s / {found[second]:.3f} s", file=sys.stderr)
    ratios = [a / b for a, b in times]
    return {"name": name, "arms": [first, second], "seconds": times, "ratio": statistics.median(ratios), "interval": bootstrap(ratios),
            "pairs": pairs, "discarded": discarded, **machine()}  # fmt: skip


def bootstrap(ratios: Sequence[float], *, draws: int = 10_000) -> tuple[float, float]:
    """95 % percentile interval of the median."""
    random = np.random.default_rng(0)
    medians = np.median(random.choice(ratios, size=(draws, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def machine() -> dict[str, object]:
    """What the figures depend on."""
    import torch

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit,
    }


def _stolen() -> float:
    """Seconds that the hypervisor gave to others since boot, over all cores."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def report(*results: dict[str, object]) -> None:
    """JSON on standard output."""
    print(json.dumps(results, indent=2))
