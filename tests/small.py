"""Small real suites for tests: digits, a tiny network, seconds of training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark import registry
from benchmark.cells import Cell, Configuration
from benchmark.evaluate import scoring_key
from benchmark.execute.context import choose_machine
from benchmark.execute.inline import Inline
from benchmark.execute.perform import Performer
from benchmark.execute.stages import Executor
from benchmark.ledger import Ledger, StageRow
from benchmark.places import default_folders
from benchmark.plan import Plan, make_plan
from benchmark.recipe import Recipe
from benchmark.records import CellResult
from benchmark.run import How, Runner
from benchmark.stages import Stage
from benchmark.tasks import Engine, Slot

METHODS: tuple[Any, ...] = ("none", "ros", "rus", {"thresholding": {}}, {"thresholding": {"base": "ros"}})

METRICS = [registry.build("metrics", name) for name in ("auc", "accuracy", "recall", "groups")]  # groups: some are NaN


def cells(
    methods: Iterable[Any] = METHODS,
    *,
    seeds: Iterable[int] = (0,),
    iterations: int | None = 5,
    imbalance: Any = None,
    model: Any = None,
    dataset: Any = None,
    **recipe: Any,
) -> list[Cell]:
    """Cells on the digits with a step imbalance."""
    budget = {} if iterations is None else {"iterations": iterations}
    shared = {
        "dataset": registry.build("datasets", dataset or {"digits": {"size": 8}}),
        "imbalance": registry.build("imbalances", imbalance or {"step": {"ratio": 5, "minority": 0.5}}),
        "model": registry.build("models", model or {"small-cnn": {"width": 2}}),
        "recipe": registry.build_fields(Recipe, {**budget, "batch": 16, **recipe}, what="recipe"),
    }
    built = [registry.build("methods", method) for method in methods]
    return [Cell(Configuration(method=method, **shared), seed) for method in built for seed in seeds]  # type: ignore[arg-type]


class Recorder:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.cells: list[CellResult] = []
        self.waited = 0

    def stage_started(self, stage: Stage, slot: Slot) -> None:
        self.stages.append(stage.op)

    def stage_progress(self, stage: Stage, done: int, total: int) -> None:
        pass

    def stage_ended(self, stage: Stage, row: StageRow) -> None:
        pass

    def cell_ended(self, result: CellResult) -> None:
        self.cells.append(result)

    def waiting(self, stages: int) -> None:
        self.waited += 1


def plan(store: Path, some: list[Cell]) -> tuple[Plan, Ledger]:
    """A plan of cells and its open ledger."""
    ledger = Ledger(store)
    return make_plan("small", some, default_folders(None), ledger, scoring=scoring_key(METRICS)), ledger


def inline(store: Path) -> Inline:
    """An engine in this process."""
    return Inline(Performer(Executor(choose_machine("cpu", 1), default_folders(None)), store))


def run(store: Path, some: list[Cell], engine: Engine | None = None, **how: Any) -> Recorder:
    """Run cells in a store and tell what happened."""
    made, ledger = plan(store, some)
    recorder = Recorder()
    with ledger:
        Runner(made, ledger, METRICS, engine or inline(store), recorder, How(**how)).run()  # type: ignore[arg-type]
    return recorder
