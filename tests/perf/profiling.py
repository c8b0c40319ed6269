"""Stages of two seconds with profiling on and off, in one process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from paired import compare, report

sys.path.insert(0, str(Path(__file__).parent.parent))
import small  # noqa: E402  # the tests' tiny suites

from benchmark.execute.context import choose_machine  # noqa: E402
from benchmark.execute.profiling import SWITCH  # noqa: E402
from benchmark.execute.stages import Executor  # noqa: E402
from benchmark.places import default_folders  # noqa: E402


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        planned, ledger = small.plan(Path(folder), small.cells(["none"], iterations=1500, model={"small-cnn": {"width": 8}}))
        ledger.close()
    stage = planned.cells[0].work.last.chain[0]
    executor = Executor(choose_machine("cpu", 1), default_folders(None))

    def timed(switch: str) -> float:
        os.environ[SWITCH] = switch
        begun = time.perf_counter()
        executor.run(stage, {}, lambda *_: None)
        return time.perf_counter() - begun

    timed("on")
    report(compare("profiling on / off, one stage", {"on": lambda: timed("on"), "off": lambda: timed("off")}, pairs=15))


if __name__ == "__main__":
    main()
