"""`skewbench report` of 22,500 cells and of a small suite: seconds and memory, single figures, the median of three.

The store is made first (`generate.py`, a minute or two); name a folder to keep it, or to take one that is there:
`python tests/perf/reporting.py FOLDER`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import machine, report

HERE = Path(__file__).parent
REPEATS = 3


def timed(suite: Path, store: Path, out: Path) -> tuple[float, float]:
    """Seconds from the command to its end, and its peak memory in MiB (VmHWM as the system counts it)."""
    command = [sys.executable, "-m", "benchmark", "report", str(suite), "--store", str(store), "--out", str(out)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def figures(suite: Path, store: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "report")
        found = [timed(suite, store, out) for _ in range(REPEATS)]
        page = (out / "index.html").stat().st_size / 1e6
        whole = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
    seconds = [each for each, _ in found]
    return {"seconds": seconds, "median": statistics.median(seconds), "peak_mib": max(mib for _, mib in found),
            "page_mb": page, "folder_mb": whole}  # fmt: skip


def store_in(folder: Path, *options: str) -> Path:
    if not (folder / "scale.yaml").exists():
        subprocess.run([sys.executable, str(HERE / "generate.py"), str(folder), *options], check=True)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = store_in(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary, "large"))
        large = figures(folder / "scale.yaml", folder / "store")
    report({"name": "report of 22,500 cells (bars: 20 s, 2 GiB, page of 10 MB)", **large, **machine()})


if __name__ == "__main__":
    main()
