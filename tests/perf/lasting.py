"""How many iterations a training needs to last as long as a benchmark wants, on this machine."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmark.ledger import Ledger

TRIED = 200


def iterations_for(seconds: float, suite: str, command: Sequence[str]) -> int:
    """`suite`: text of a suite named s.yaml; `command` runs it. Alone, as many workers as a run has are at work."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "s.yaml").write_text(suite)
        tried = ["--set", f"recipe.iterations={TRIED}", "--seeds", "2", "--no-tracker"]
        subprocess.run([*command, *tried], cwd=folder, check=True, capture_output=True)
        with Ledger(Path(folder) / "skewbench-results") as ledger:
            rows = sorted((row for row in ledger.stages().values() if row.op == "train"), key=lambda row: row.started)
    last = rows[-1]  # the first of each worker has imports of its own
    return round(TRIED * seconds / (last.ended - last.started))
