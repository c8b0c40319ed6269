"""Proportional memory (PSS) of one worker, and what a second one adds: libraries and images are mapped once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from paired import machine, report

SUITE = str(Path(__file__).with_name("rg48.yaml"))


def total_pss(workers: int) -> float:
    """MiB of all worker processes of a run while they train."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "benchmark",
            "run",
            SUITE,
            "--store",
            folder,
            "--workers",
            str(workers),
            "--exec",
            "fixed",
            "--no-tracker",
        ]
        process = subprocess.Popen([*command, "--set", "recipe.iterations=3000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(25)
        found = [child for child in psutil.Process(process.pid).children() if "benchmark.execute.worker" in child.cmdline()]
        assert len(found) == workers, found
        pss = sum(child.memory_full_info().pss for child in found) / 2**20
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        return pss


if __name__ == "__main__":
    one, two = total_pss(1), total_pss(2)
    report({"name": "extra PSS of the second worker / PSS of the first", "one": one, "two": two, "ratio": (two - one) / one, **machine()})
