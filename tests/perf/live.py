"""What writing MLflow live costs a training, and how old the curve is that one sees. About a quarter of an hour on two quiet cores.

Cost: the same suite of two-second cells, as many workers as cores, with the tracker on and off; the figure is the median duration of a
training that began when the follower was set up (importing MLflow is paid once a run, while workers import theirs). Since durations
differ by some percent from run to run, the follower's processor time is told too, as a share of the machine's: it can take no more.
Age: a training of a minute on every core; each second the age of the newest point of its curve in MLflow's database.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
from lasting import iterations_for
from paired import compare, machine, report

from benchmark.ledger import Ledger

SUITE = """
suite: live
seeds: {seeds}
grid:
  dataset: digits
  imbalance: {{step: {{ratio: 5, minority: 0.5}}}}
  method: [none, ros]
  model: lenet5
recipe: {{iterations: {iterations}, batch: 32}}
metrics: [auc, accuracy, recall.per_class]
"""
SET_UP_SECONDS = 15.0
COMMAND = [sys.executable, "-m", "benchmark", "run", "s.yaml", "--no-report"]


def prepare(folder: str, *, seeds: int, iterations: int) -> None:
    """The suite, and a store whose tracking database is there."""
    Path(folder, "s.yaml").write_text(SUITE.format(seeds=seeds, iterations=iterations))
    subprocess.run([*COMMAND, "--set", "recipe.iterations=1", "--seeds", "1"], cwd=folder, check=True, capture_output=True)


def seconds(iterations: int, *options: str) -> float:
    """Of a training, the median."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, seeds=16, iterations=iterations)
        begun = time.time()
        subprocess.run([*COMMAND, *options], cwd=folder, check=True, capture_output=True)
        with Ledger(Path(folder) / "skewbench-results") as ledger:
            rows = [row for row in ledger.stages().values() if row.op == "train" and row.started > begun]
        first = min(row.started for row in rows)
        return statistics.median(row.ended - row.started for row in rows if row.started > first + SET_UP_SECONDS)


def share(iterations: int) -> float:
    """Of the machine's processor time, what the follower takes from its setting up until the last training ends."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, seeds=24, iterations=iterations)
        begun, seen = time.time(), []
        with subprocess.Popen(COMMAND, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                seen += [(time.time(), used) for used in followers(process.pid)]
                time.sleep(0.5)
        with Ledger(Path(folder) / "skewbench-results") as ledger:
            rows = [row for row in ledger.stages().values() if row.op == "train" and row.started > begun]
        first, last = min(row.started for row in rows) + SET_UP_SECONDS, max(row.ended for row in rows)
        during = [each for each in seen if first < each[0] < last]
        return (during[-1][1] - during[0][1]) / (during[-1][0] - during[0][0]) / (os.cpu_count() or 1)


def followers(parent: int) -> list[float]:
    """Processor seconds of the process that fills MLflow."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = [child for child in psutil.Process(parent).children() if "--follow" in child.cmdline()]
        return [sum(child.cpu_times()[:2]) for child in found]
    return []


def ages(iterations: int) -> list[float]:
    """Seconds by which what MLflow shows of a training lags behind, once a second, from its first point on."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, seeds=max(1, (os.cpu_count() or 2) // 2), iterations=iterations)
        found: list[float] = []
        with subprocess.Popen(COMMAND, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                time.sleep(1)
                newest = newest_point(Path(folder, "skewbench-results/mlflow.db"))
                found += [time.time() - newest] if newest else []
        return found[: -int(SET_UP_SECONDS)] or found  # when a training has ended there are no new points


def newest_point(database: Path) -> float:
    """When the newest point of a running training's curve was written, Unix seconds; 0 if there is none."""
    query = (
        "SELECT MAX(m.timestamp) FROM metrics m JOIN runs r ON r.run_uuid = m.run_uuid WHERE m.key = 'train_loss' AND r.status = 'RUNNING'"
    )
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        (found,) = connection.execute(query).fetchone()
    return float(found or 0) / 1000


if __name__ == "__main__":
    long = iterations_for(2.0, SUITE.format(seeds=2, iterations=1), COMMAND)
    seen = ages(30 * long)
    age = {"name": "age of the newest point, s", "median": statistics.median(seen), "largest": max(seen), "seen": len(seen), **machine()}
    cost = compare("training with tracking on / off", {"on": lambda: seconds(long), "off": lambda: seconds(long, "--no-tracker")}, pairs=5)
    taken = {"name": "the follower's share of the machine's processor time", "share": share(long), **machine()}
    report(age, taken, {**cost, "iterations": long})
