"""The gate put to the test: false alarms when nothing changed (A/A), and how often injected faults are found.

Real: every training (digits at 8x8, a small network, other seeds on both sides), every duration and memory peak; the faults are a loss of
a plug-in that flips labels, spins, or holds memory. Resampled: a check draws its seeds or measurements from these without replacement,
so that a few hundred trainings make thousands of checks. Durations are all of one process: from process to process they differ more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from paired import machine
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parent.parent))
import small  # noqa: E402  # the tests' tiny suites

from benchmark.execute.context import choose_machine  # noqa: E402
from benchmark.execute.stages import Executor  # noqa: E402
from benchmark.gate.cost import Window, judge_memory, judge_time  # noqa: E402
from benchmark.gate.policy import Policy  # noqa: E402
from benchmark.gate.quality import Pair, Sample, judge  # noqa: E402
from benchmark.ledger import Ledger  # noqa: E402
from benchmark.methods import Method, Train  # noqa: E402
from benchmark.places import default_folders  # noqa: E402
from benchmark.registry import parameter, plugin  # noqa: E402

CHECKS, STEPS = 2000, 30
HELD: list[torch.Tensor] = []


@plugin("faulty")
class Faulty(Method):
    """Cross-entropy with faults to order."""

    noise: float = parameter(0.0, doc="share of the labels of each batch that are replaced by random ones", low=0, high=1)
    spin: float = parameter(0.0, doc="milliseconds that each step is held up, at work", low=0)
    held: float = parameter(0.0, doc="MiB that the first step takes and never gives back", low=0)

    def steps(self, problem):
        return (Train(by=self, own_loss=True),)

    def loss(self, problem):
        generator = torch.Generator().manual_seed(0)
        if self.held:
            HELD.append(torch.ones(int(self.held * 2**18)))

        def faulty(logits, labels):
            until = time.perf_counter() + self.spin / 1000
            flipped = torch.rand(len(labels), generator=generator) < self.noise
            random = torch.randint(problem.num_classes, labels.shape, generator=generator)
            while self.spin and time.perf_counter() < until:
                pass
            return cross_entropy(logits, torch.where(flipped, random, labels))

        return faulty


def cells(fault: dict[str, float], seeds: Sequence[int], *, iterations: int = 100) -> list:
    """Balanced digits: accuracy varies by one point from seed to seed."""
    how = {"batch": 128, "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}}}
    model = {"small-cnn": {"width": 8}}
    return small.cells([{"faulty": fault}], seeds=seeds, iterations=iterations, imbalance="none", model=model, **how)


def trained(noise: float, seeds: Sequence[int]) -> np.ndarray:
    """Accuracies of real trainings, one per seed."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        for start in range(0, len(seeds), 20):
            small.run(store, cells({"noise": noise}, seeds[start : start + 20]))
            print(f"noise {noise}: {start + 20}/{len(seeds)}", file=sys.stderr)
        with Ledger(store, writable=False) as ledger:
            found = ledger.cells("small").values()
        return np.array([cell.metrics["accuracy"] for cell in sorted(found, key=lambda cell: cell.seed)])


def rate(draw: Callable[[], bool]) -> dict[str, float]:
    hits = sum(draw() for _ in range(CHECKS))
    share = hits / CHECKS
    return {"rate": share, "half_width": 1.96 * float(np.sqrt(share * (1 - share) / CHECKS)), "checks": CHECKS}


def quality(num: int, noise: float) -> dict[str, object]:
    """A/A on `num` trainings of the same code, A/B with a quarter as many noisy ones; checks of 3 to 20 seeds a side."""
    before, worse = trained(0.0, range(num)), trained(noise, range(num, num + num // 4))
    two_points = worse + (before.mean() - worse.mean()) - 0.02  # the same distribution, moved to a loss of two points
    random = np.random.default_rng(0)
    policy = Policy(quality=0.005, alpha=0.01)

    def regressed(first: np.ndarray, second: np.ndarray) -> bool:
        pairs = tuple(Pair(seed, float(b), float(a)) for seed, (b, a) in enumerate(zip(first, second, strict=True)))
        return judge([Sample("accuracy", True, pairs)], policy)[0].outcome == "regressed"

    def same(seeds: int) -> bool:
        drawn = random.choice(before, 2 * seeds, replace=False)
        return regressed(drawn[:seeds], drawn[seeds:])

    def faulty(seeds: int, pool: np.ndarray) -> bool:
        return regressed(random.choice(before, seeds, replace=False), random.choice(pool, seeds, replace=False))

    pairs = [regressed(before[i : i + 5], before[i + 5 : i + 10]) for i in range(0, num - 9, 10)]
    return {
        "trainings": num, "mean": before.mean(), "sd": before.std(ddof=1), "noise": noise, "loss": before.mean() - worse.mean(),
        "alarms_disjoint": [sum(pairs), len(pairs)],
        "false_alarms": {seeds: rate(lambda seeds=seeds: same(seeds)) for seeds in (3, 5, 10, 20)},
        "found": {seeds: rate(lambda seeds=seeds: faulty(seeds, worse)) for seeds in (3, 5, 10, 20)},
        "found_at_two_points": {seeds: rate(lambda seeds=seeds: faulty(seeds, two_points)) for seeds in (3, 5, 10, 20)},
    }  # fmt: skip


def cost(num: int) -> dict[str, object]:
    """Seconds and peaks: `num` measurements of the same code, of a step that is 10 % slower, of 20 % more memory; taken in turns."""
    executor = Executor(choose_machine("cpu", 1), default_folders(None))
    plain = [measure(executor, {}) for _ in range(10)][1:]
    step = 1000 * statistics.median(each["seconds"] for each in plain) / STEPS
    arms = {"same": {}, "slow": {"spin": 0.1 * step}, "more": {"held": 0.2 * plain[-1]["peak_host_mib"]}}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for number in range(num):
        for name, fault in arms.items():
            HELD.clear()
            made = [measure(executor, fault) for _ in range(3)]
            found[name].append({key: statistics.median(each[key] for each in made) for key in made[0]})
        if number % 10 == 9:
            print(f"measured {number + 1}/{num}", file=sys.stderr)
    return {"step_ms": step, **judged(found)}


def judged(found: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Checks of a window of 5 against 3 measurements, all drawn from what was measured."""
    random = np.random.default_rng(0)
    policy = Policy(time=0.05, memory=0.05, alpha=0.01)

    def window(arm: str) -> Window:
        before = random.choice(len(found["same"]), 8, replace=False)
        after = before[5:] if arm == "same" else random.choice(len(found[arm]), 3, replace=False)
        sides = ([found["same"][i] for i in before[:5]], [found[arm][i] for i in after])
        return Window(*([{"figures": each, "context": {}} for each in side] for side in sides))

    seconds = [each["seconds"] for each in found["same"]]
    slower = statistics.median(each["seconds"] for each in found["slow"]) / statistics.median(seconds) - 1
    return {
        "slower_by": slower,
        "measurements": len(seconds), "spread": float(np.std(np.log(seconds), ddof=1)),
        "time_false_alarms": rate(lambda: judge_time([window("same")], policy)[0].outcome == "regressed"),
        "slow_found": rate(lambda: judge_time([window("slow")], policy)[0].outcome == "regressed"),
        "memory_false_alarms": rate(lambda: judge_memory([window("same")], policy)[0].outcome == "regressed"),
        "more_memory_found": rate(lambda: judge_memory([window("more")], policy)[0].outcome == "regressed"),
    }  # fmt: skip


def measure(executor: Executor, fault: dict[str, float]) -> dict[str, float]:
    """One real training with a fault."""
    with tempfile.TemporaryDirectory() as folder:
        planned, ledger = small.plan(Path(folder), cells(fault, [0], iterations=STEPS))
        ledger.close()
    work = planned.cells[0].work
    assert work is not None
    profile = executor.run(work.last.chain[0], {}, lambda *_: None).profile
    return {name: profile[name] for name in ("seconds", "peak_host_mib")}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trainings", type=int, default=200)
    options.add_argument("--measurements", type=int, default=30)
    options.add_argument("--noise", type=float, default=0.2)
    given = options.parse_args()
    found = {"quality": quality(given.trainings, given.noise), "cost": cost(given.measurements)}
    print(json.dumps({**found, **machine()}, indent=1, default=float))


if __name__ == "__main__":
    main()
