"""Ten heads on one frozen ResNet-50: on kept features, the base's pass over the images counted once, against heads that go through it.

Processor seconds, so that other work on the machine is not in them. Argument: how many pairs (default: 5).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from paired import compare, report

sys.path.insert(0, str(Path(__file__).parent.parent))
import small  # noqa: E402  # the tests' tiny suites

from benchmark.cells import Cell  # noqa: E402

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
DENSE = [{"dropout": 0.05 * number} for number in range(5)] + [{"l2": 10.0**-number} for number in range(2, 7)]
LINEAR = [{"head": "linear", **head} for head in DENSE]


def cells(heads: list[dict[str, Any]], images: int, *, keep: bool) -> list[Cell]:
    """Heads on so many images a class, five epochs of batch 32 as in the study."""
    data = {"digits": {"size": 28, "train_fraction": 0.8, "pool_cap": images}}
    models = [{"resnet50": {"weights": "none", "keep_features": keep, **head}} for head in heads]
    recipe = {"epochs": 5, "batch": 32, "optimizer": {"adam": {"lr": 1e-3}}}
    return [c for model in models for c in small.cells(["none"], dataset=data, imbalance="none", model=model, iterations=None, **recipe)]


def seconds(heads: list[dict[str, Any]], images: int = 30, *, keep: bool = True) -> float:
    """Of a run from nothing: no features are there, no stage is done."""
    made = cells(heads, images, keep=keep)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        begun = time.process_time()
        small.run(Path(folder) / "store", made)
        return time.process_time() - begun


def main() -> None:
    seconds(DENSE[:1])  # warms up
    dense = {"ten kept": lambda: seconds(DENSE), "one kept": lambda: seconds(DENSE[:1])}
    through = {"ten kept": dense["ten kept"], "one through": lambda: seconds(DENSE[:1], keep=False)}
    linear = {"ten kept": lambda: seconds(LINEAR, 100), "one kept": lambda: seconds(LINEAR[:1], 100)}
    report(
        compare("ten dense heads on kept features / one through the base", through, pairs=PAIRS),
        compare("ten dense heads / one, both on kept features", dense, pairs=PAIRS),
        compare("ten linear heads / one, both on kept features", linear, pairs=PAIRS),
    )


if __name__ == "__main__":
    main()
