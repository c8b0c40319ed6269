"""RG-48: cells an hour of skewbench against arms C and T, achieved against planned sharing, and what issuing the command again costs.

Every arm is timed as a user waits for it: from the command to its end, imports, tracking and (ours) the report included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cells import plan_of
from paired import compare, report

HERE = Path(__file__).parent
SUITE = str(HERE / "rg48.yaml")


def timed(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def ours(options: Sequence[str], store: Path, suite: str = SUITE) -> float:
    """`skewbench run` in a store."""
    return timed([sys.executable, "-m", "benchmark", "run", suite, "--store", str(store), *options])


def fresh(options: Sequence[str], suite: str = SUITE) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return ours(options, Path(folder) / "store", suite)


def careful(options: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return timed([sys.executable, str(HERE / "arm_careful.py"), SUITE, "--tracker", f"{folder}/mlflow.db", *options])


def textbook(options: Sequence[str], cells: Sequence[int], of: int) -> float:
    """Some cells, scaled to all of them: each is a process of its own, so their times add up."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "arm_textbook.py"), SUITE, "--tracker", f"{folder}/mlflow.db", *options]
        return sum(timed([*command, "--cell", str(cell)]) for cell in cells) * of / len(cells)


def sharing(options: Sequence[str], pairs: int, planned: float) -> dict[str, object]:
    """The same cells with and without sharing; the workers are the same."""
    found = compare(
        "sharing: off / on", {"off": lambda: fresh([*options, "--set", "share=off"]), "on": lambda: fresh(options)}, pairs=pairs
    )
    return {**found, "planned": planned, "achieved / planned": found["ratio"] / planned}


def again(options: Sequence[str]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        cold = ours(options, Path(folder))
        warm = sorted(ours(options, Path(folder)) for _ in range(5))
    return {"name": "issuing a finished run again", "cold": cold, "warm": warm, "ratio": warm[2] / cold}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--what", choices=["careful", "textbook", "sharing", "again"], action="append")
    given = parser.parse_args()
    options = ["--set", f"recipe.iterations={given.iterations}", "--seeds", str(given.seeds)]
    _, plan = plan_of(SUITE, [f"recipe.iterations={given.iterations}"], given.seeds)
    cells = len(plan.cells)
    results = []
    wanted = given.what or ["careful", "textbook", "sharing", "again"]
    if "careful" in wanted:
        results.append(
            compare("RG-48 seconds, C / ours", {"C": lambda: careful(options), "ours": lambda: fresh(options)}, pairs=given.pairs)
        )
    if "textbook" in wanted:
        some = list(range(0, cells, max(1, cells // 8)))[:8]
        arms = {"T": lambda: textbook(options, some, cells), "ours": lambda: fresh(options)}
        results.append(compare("RG-48 seconds, T / ours (T: 8 cells, scaled)", arms, pairs=min(given.pairs, 3)))
    if "sharing" in wanted:
        told = subprocess.run(
            [sys.executable, "-m", "benchmark", "plan", SUITE, "--json", *options], check=True, capture_output=True, text=True
        ).stdout
        results.append(sharing(options, min(given.pairs, 3), json.loads(told)["sharing"]))
    if "again" in wanted:
        results.append(again(options))
    report(*({**each, "cells": cells, "iterations": given.iterations} for each in results))


if __name__ == "__main__":
    main()
