"""`skewbench plan` of 22,500 cells, nothing done: a single figure, the median of five."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import machine, report

SUITE = """
suite: large
seeds: 150
grid:
  dataset: fashion-mnist
  imbalance: {step: {ratio: [2, 5, 10, 20, 50, 100], minority: [0.1, 0.3, 0.5, 0.7, 0.9]}}
  method: [none, ros, rus, {two-phase: {base: ros}}, {thresholding: {base: ros}}]
  model: lenet5
recipe: {iterations: 10000}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "large.yaml")
        file.write_text(SUITE)
        command = [sys.executable, "-m", "benchmark", "plan", str(file), "--store", f"{folder}/store"]
        found = {}
        for name, options in (("every line", []), ("summary", ["--summary"])):
            times = []
            for _ in range(5):
                begun = time.perf_counter()
                told = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
                times.append(time.perf_counter() - begun)
            assert "22500 cells" in told
            found[name] = {"median": statistics.median(times), "seconds": times}
    report({"name": "plan of 22,500 cells", **found, **machine()})


if __name__ == "__main__":
    main()
