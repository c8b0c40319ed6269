"""What filling MLflow costs the training: the same suite of 48 cells of two seconds with the tracker on and off.

The time is that from the first stage's start to the last cell's end as the ledger has it. Left out is what is paid once and not once a
cell: creating the tracking database (a first, tiny suite does that in both arms), starting Python, draining the tracker after the last
cell. Importing MLflow, beside the training, is in.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lasting import iterations_for
from paired import compare, report

from benchmark.ledger import Ledger

SUITE = """
suite: tracking
seeds: 24
grid:
  dataset: digits
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: [none, ros]
  model: lenet5
recipe: {iterations: 1, batch: 32}
metrics: [auc, accuracy, recall.per_class]
"""


COMMAND = [sys.executable, "-m", "benchmark", "run", "s.yaml", "--no-report"]


def seconds(iterations: int, *options: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "s.yaml").write_text(SUITE)
        subprocess.run([*COMMAND, "--seeds", "1"], cwd=folder, check=True, capture_output=True)
        begun = time.time()
        subprocess.run([*COMMAND, "--set", f"recipe.iterations={iterations}", *options], cwd=folder, check=True, capture_output=True)
        with Ledger(Path(folder) / "skewbench-results") as ledger:
            rows = [row for row in ledger.stages().values() if row.started > begun]
            return max(row.ended for row in rows) - min(row.started for row in rows)


if __name__ == "__main__":
    long = iterations_for(2.0, SUITE, COMMAND)
    found = compare("tracking on / off", {"on": lambda: seconds(long), "off": lambda: seconds(long, "--no-tracker")}, pairs=5)
    report({**found, "iterations": long})
