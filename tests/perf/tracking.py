"""What filling MLflow costs the training: the same suite of two-second cells with the tracker on and off.

The time is that from the first stage's start to the last cell's end as the ledger has it; starting Python and draining the tracker
after the last cell are left out, since they are paid once a suite and not once a cell.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from paired import compare, report

from benchmark.ledger import Ledger

SUITE = """
suite: tracking
seeds: 4
grid:
  dataset: digits
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: [none, ros]
  model: lenet5
recipe: {iterations: 170, batch: 32}
metrics: [auc, accuracy, recall.per_class]
"""


def seconds(*options: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "s.yaml").write_text(SUITE)
        command = [sys.executable, "-m", "benchmark", "run", "s.yaml", "--no-report", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        with Ledger(Path(folder) / "skewbench-results") as ledger:
            rows = ledger.stages().values()
            return max(row.ended for row in rows) - min(row.started for row in rows)


if __name__ == "__main__":
    report(compare("tracking on / off", {"on": seconds, "off": lambda: seconds("--no-tracker")}, pairs=9))
