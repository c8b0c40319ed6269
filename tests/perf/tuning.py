"""Is a search by TPE with pruning as good as a random one, at half of its training? `python tests/perf/tuning.py`.

LeNet-5 on Fashion-MNIST under step imbalance 50: 30 trials each by `tpe` with `asha` and by `random` without pruning, over repeats that
differ in every draw (the suite's name is part of the search's stream). Told: the best validation AUC of each, their training seconds, and
the median over repeats of the difference and of the ratio, each with an interval (of the median, by order statistics).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from scipy.stats import binom

ROOT = Path(__file__).parent.parent.parent
SUITE = """
suite: perf-tuning-{repeat}
grid:
  dataset: {{fashion-mnist: {{validation: 0.1}}}}
  imbalance: {{step: {{ratio: 50, minority: 0.5}}}}
  method: {method}
  model: lenet5
recipe: {{optimizer: {{sgd: {{momentum: 0.9}}}}, iterations: {iterations}, batch: 64}}
metrics: [auc]
search:
  recipe.optimizer.lr: {{log: [1e-4, 0.3]}}
  recipe.optimizer.weight_decay: {{log: [1e-6, 1e-2]}}
  model.dropout: {{range: [0, 0.7]}}
  recipe.label_smoothing: {{range: [0, 0.2]}}
"""


def searched(suite: Path, store: Path, trials: int, sampler: str, pruner: str) -> dict:
    """The study's record, after its last trial."""
    command = [sys.executable, "-m", "benchmark", "tune", str(suite), "--store", str(store), "--trials", str(trials)]
    command += ["--sampler", sampler, "--pruner", pruner, "--seeds-final", "0", "--exec", "fixed", "--workers", "1"]
    command += ["--no-report", "--no-tracker", "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    (study,) = json.loads(done.stdout)["studies"]
    return study


def median_interval(values: list[float]) -> tuple[float, float, float]:
    """Median and the narrowest symmetric pair of order statistics that covers it in 95 % at least, or all there is with few values."""
    ordered, num = sorted(values), len(values)
    rank = max((r for r in range(num // 2) if 1 - 2 * binom.cdf(r, num, 0.5) >= 0.95), default=0)
    return statistics.median(ordered), ordered[rank], ordered[num - 1 - rank]


def main() -> None:
    """Run the repeats and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--start", type=int, default=0, help="first repeat: parts may run side by side; in the end all are told from the store"
    )
    parser.add_argument("--method", default="none")
    parser.add_argument("--store", type=Path, default=Path("skewbench-results/perf-tuning"))
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    gains, ratios = [], []
    for repeat in range(options.start, options.repeats):
        suite = options.store / f"repeat-{repeat}.yaml"
        suite.write_text(SUITE.format(repeat=repeat, iterations=options.iterations, method=options.method))
        found = {}
        for sampler, pruner in (("random", "none"), ("tpe", "asha")):
            study = searched(suite, options.store / f"{repeat}-{sampler}", options.trials, sampler, pruner)  # apart: nothing is shared
            best = max(trial["values"][0] for trial in study["trials"] if trial["values"])
            found[sampler] = best, sum(trial["seconds"] for trial in study["trials"])
            states = {state: sum(trial["state"] == state for trial in study["trials"]) for state in ("complete", "pruned", "failed")}
            print(f"repeat {repeat} {sampler:6}: AUC {best:.5f}, {found[sampler][1]:.1f} s of training, {states}", flush=True)
        gains.append(found["tpe"][0] - found["random"][0])
        ratios.append(found["tpe"][1] / found["random"][1])
    for name, values in (("AUC tpe − random", gains), ("training seconds tpe / random", ratios)):
        middle, low, high = median_interval(values)
        print(f"{name}: median {middle:+.5f} [{low:+.5f}, {high:+.5f}] over {len(values)} repeats")


if __name__ == "__main__":
    main()
