"""Studies whose trials are arithmetic instead of trainings, for tests of what surrounds a trial."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import TrialState
from small import cells

from benchmark.language.document import parse
from benchmark.language.search import search_of
from benchmark.studies import Comparison, Objective, Study, Trial, Tuning
from benchmark.tune.groups import groups_of
from benchmark.tune.rounds import Live
from benchmark.tune.settings import Settings
from benchmark.tune.storage import open_storage
from benchmark.tune.study import StudyOf, Told
from benchmark.tune.tuner import Tuner, open_studies

TINY = """
suite: tiny
seeds: 2
grid:
  dataset: {digits: {size: 8, validation: 0.3}}
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: [none, ros]
  model: {small-cnn: {width: 2}}
recipe: {optimizer: {sgd: {lr: 0.01}}, iterations: 20, batch: 16}
"""
"""Real trainings; metrics and the search are for each test to add."""
SPACE = "{recipe.optimizer.lr: {log: [1e-4, 1], grid: [0.001, 0.1]}, recipe.batch: {choice: [16, 32]}}"
DATASET = {"digits": {"size": 8, "validation": 0.3}}


def peak(values) -> float:
    """Best at a rate of 0.1 and a batch of 32."""
    return 1 - (math.log10(values["recipe.optimizer.lr"]) + 1) ** 2 / 10 - 0.05 * (values["recipe.batch"] == 16)


@dataclass
class FakeRounds:
    """Answers as `benchmark.tune.rounds.Rounds` does."""

    value: Callable[..., float] = peak
    seconds: float = 0.0
    reverse: bool = False
    known: dict[str, Told] = field(default_factory=dict)
    ran: list[tuple[str, int]] = field(default_factory=list)

    def run(self, lives: Sequence[Live]) -> list[tuple[Live, Told]]:
        time.sleep(self.seconds)
        found = []
        for live in lives:
            self.ran.append((live.study.name, live.number))
            value = self.value(live.values)
            told = Told(TrialState.FAIL, kind="not-finite", message="diverged", seconds=1.0)
            found.append((live, Told(TrialState.COMPLETE, (value,), seconds=2.0) if math.isfinite(value) else told))
        return found[::-1] if self.reverse else found

    def answer(self, live: Live) -> Told | None:
        return self.known.get(str(live.values))


def studies(url: str, settings: Settings, *, methods=("none", "ros"), space: str = SPACE, suite: str = "fake") -> list[StudyOf]:
    found = cells(methods, dataset=DATASET)
    groups = groups_of(suite, found, search_of(parse(space, source="test")), (), settings)
    return open_studies(groups, [["key"] for _ in groups], settings, open_storage(url), url)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'tuning.db'}"


def place(folder: Path) -> str:
    """The quickest to write."""
    return f"journal:{folder / 'tuning.log'}"


def tuned(url: str, settings: Settings, rounds: FakeRounds | None = None, **more) -> tuple[list[StudyOf], FakeRounds]:
    found, rounds = studies(url, settings, **more), rounds or FakeRounds()
    Tuner(found, rounds, url=url).run()  # type: ignore[arg-type]  # a fake
    return found, rounds


def points(study: StudyOf) -> list[dict]:
    """The points of the trials that count, in order."""
    return [trial.params for trial in study.counted()]


def record() -> Tuning:
    """A small tuning, written by hand."""
    trials = tuple(
        Trial(
            n,
            "complete",
            {"recipe.optimizer.lr": 10 ** -(1 + n / 4), "recipe.batch": 16 + 16 * (n % 3)},
            (0.9 + n / 100,),
            seconds=3.0,
            scores={"validation.auc": 0.9 + n / 100},
            reports=((10, 0.7),),
            started=1.0,
            ended=5.0,
        )
        for n in range(8)
    ) + (  # fmt: skip
        Trial(
            8, "pruned", {"recipe.optimizer.lr": 0.5, "recipe.batch": 16}, kind="pruned", message="stopped after 10 % at 0.5", seconds=1.0
        ),
        Trial(9, "failed", {"recipe.optimizer.lr": 0.9, "recipe.batch": 32}, kind="not-finite", message="diverged", seconds=0.5),
    )
    space = {"recipe.optimizer.lr": "0.0001 … 1 (log)", "recipe.batch": "one of 16, 32"}
    common = {"condition": "digits · step ratio=5 · small-cnn", "objectives": (Objective("auc", True),), "space": space}
    importances = {"recipe.optimizer.lr": 0.8, "recipe.batch": 0.2}
    first = Study("s: none · digits [a]", "none", trials=trials, best=(7,), importances=importances, sampler="tpe", pruner="asha",
                  budget="10 trials", optuna="5.0.0", storage="sqlite:///x.db", **common)  # fmt: skip
    second = Study("s: ros · digits [b]", "ros", trials=trials[:9], best=(7,), sampler="tpe", pruner="asha", budget="10 trials", **common)
    compared = Comparison("s: none · digits [a]", "auc", True, {0: 0.8, 1: 0.7, 2: 0.75}, {0: 0.9, 1: 0.85, 2: 0.8})
    return Tuning("s", (first, second), (compared,), "skewbench tune s.yaml", ("Unequal budgets: a, b.",))
