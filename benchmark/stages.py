"""Stages: the distinct pieces of work behind cells, content-addressed, so that work which two cells share stands in a plan once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.cells import Cell
from benchmark.draw import Counts, planned_counts
from benchmark.errors import InvalidValue
from benchmark.identity import canonical, digest
from benchmark.methods import Adjust, Train
from benchmark.recipe import Recipe
from benchmark.records import DatasetInfo, Problem
from benchmark.registry import Plugin, plain

OPERATIONS = {"train": 1, "predict": 1, "adjust": 1}
"""Version of each operation: raise one when its code changes what it computes (tests/golden/operations.json watches the code)."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One piece of work with a result worth keeping. Its keys are made of what it computes and of its parent's keys, of nothing else."""

    op: str
    config: Mapping[str, Any]
    """All that is needed to compute it, as plain JSON."""
    science: Mapping[str, Any]
    """`config` without places: all that can change a number, and all that a random stream may depend on."""
    code: Mapping[str, str]
    """Source keys of the plug-ins that take part."""
    owner: str
    """The method that asked for it: whose failure it is."""
    parent: Stage | None = None

    @functools.cached_property
    def science_key(self) -> str:
        """What is computed."""
        return digest(canonical([self.op, self.science, self.parent.science_key if self.parent else None]))

    @functools.cached_property
    def all_code(self) -> Mapping[str, str]:
        """Source keys of this stage and of those before it, with the versions of their operations."""
        before = self.parent.all_code if self.parent else {}
        return {**before, **self.code, f"operation:{self.op}": str(OPERATIONS[self.op])}

    @functools.cached_property
    def key(self) -> str:
        """What is computed and what computes it: two stages of one key have the same result."""
        return digest(self.science_key + canonical(self.all_code))

    @property
    def chain(self) -> tuple[Stage, ...]:
        """From the first stage to this one."""
        return (*(self.parent.chain if self.parent else ()), self)


@dataclass(frozen=True, eq=False)
class CellStages:
    """A cell as work: its last stage, its identity and the counts it trains on."""

    cell: Cell
    last: Stage
    fingerprint: str
    class_names: tuple[str, ...]
    class_counts: tuple[int, ...]
    sampled_counts: tuple[int, ...]

    @functools.cached_property
    def resolved(self) -> Mapping[str, Any]:
        """The cell in full: what its science key is made of."""
        return {**self.cell.config.science, "seed": self.cell.seed, "fingerprint": self.fingerprint}

    @functools.cached_property
    def key(self) -> str:
        """Identity of the cell: science and code."""
        return digest(canonical(self.resolved) + self.last.key)

    @functools.cached_property
    def config_key(self) -> str:
        """Identity without the seed."""
        return digest(canonical({**self.cell.config.science, "fingerprint": self.fingerprint}))


@dataclass
class StageBuilder:
    """Turns cells into stages; equal stages become one object."""

    infos: Mapping[str, DatasetInfo]
    """By the canonical text of the data set."""
    _stages: dict[str, Stage] = field(default_factory=dict)
    _counts: dict[tuple[str, str, int], Counts] = field(default_factory=dict)

    def build(self, cell: Cell) -> CellStages:
        """The stages of one cell; InvalidValue, naming the cell, where imbalance, method or model cannot do what is asked."""
        try:
            return self._build(cell)
        except InvalidValue as error:
            raise InvalidValue(f"{error.problem}\nThat is the cell {_words(cell)}.", path=error.path, at_key=error.at_key) from error

    def _build(self, cell: Cell) -> CellStages:
        config = cell.config
        info = self.infos[config.dataset.text]
        counts = self._planned_counts(cell, info)
        config.model.check(info.shape, len(counts.class_names))
        problem = problem_of(config.recipe, counts.train, counts.class_names, info.shape)
        stage: Stage | None = None
        sampled = counts.train
        for step in config.method.steps(problem):
            if isinstance(step, Train):
                sampled = step.class_counts or counts.train
                stage = self._predict(self._train(cell, info, step, problem))
            else:
                assert stage is not None, "the first step of a method must train"
                stage = self._adjust(stage, step)
        assert stage is not None, f"method '{config.method.name}' has no steps"
        return CellStages(cell, stage, info.fingerprint, counts.class_names, counts.train, sampled)

    def _planned_counts(self, cell: Cell, info: DatasetInfo) -> Counts:
        """Counts depend on data set, imbalance and seed alone: worked out once for all methods and models."""
        dataset, imbalance = cell.config.dataset, cell.config.imbalance
        key = (dataset.text, imbalance.text, cell.seed)
        if key not in self._counts:
            self._counts[key] = planned_counts(dataset, info, imbalance, cell.seed)
        return self._counts[key]

    def _train(self, cell: Cell, info: DatasetInfo, step: Train, problem: Problem) -> Stage:
        config = cell.config
        sampled = step.class_counts or problem.class_counts
        numbers = {
            "fingerprint": info.fingerprint,
            "seed": cell.seed,
            "class_names": problem.class_names,
            "class_counts": problem.class_counts,
            "steps": config.recipe.num_steps(sum(sampled)),
            "sampled": step.class_counts,
        }
        named = {"dataset": config.dataset, "imbalance": config.imbalance, "model": config.model, "recipe": config.recipe}
        named["loss"] = step.by if step.own_loss else None
        parts = (config.dataset, config.imbalance, config.model, step.by, config.recipe.optimizer, config.recipe.schedule)
        code = {name: key for part in parts for name, key in part.code.items()}
        full, science = ({**numbers, **{name: plain(part, identity=drop) for name, part in named.items()}} for drop in (False, True))
        return self._one(Stage("train", full, science, code, step.by.name))

    def _predict(self, trained: Stage) -> Stage:
        return self._one(Stage("predict", {}, {}, {}, trained.owner, trained))

    def _adjust(self, stage: Stage, step: Adjust) -> Stage:
        own = {name: key for name, key in step.by.code.items() if name == f"methods:{step.by.name}"}
        offset = {"offset": step.offset}
        return self._one(Stage("adjust", offset, offset, own, step.by.name, stage))

    def _one(self, stage: Stage) -> Stage:
        return self._stages.setdefault(stage.key, stage)


def problem_of(recipe: Recipe, class_counts: tuple[int, ...], class_names: tuple[str, ...], shape: tuple[int, int, int]) -> Problem:
    """What a method is told, alike when it plans and when it makes its loss: the budget is that of the set before its own sampling."""
    return Problem(class_counts, class_names, shape, recipe.num_steps(sum(class_counts)), recipe.batch, recipe.label_smoothing)


def _words(cell: Cell) -> str:
    parts = (cell.config.dataset, cell.config.imbalance, cell.config.method, cell.config.model)
    return ", ".join([*(f"{part.kind.removesuffix('s')} {_spec(part)}" for part in parts), f"seed {cell.seed}"])


def _spec(part: Plugin) -> str:
    """A plug-in as it stands in a suite: its name, and the parameters that are not at their default."""
    given = {f.name: plain(getattr(part, f.name)) for f in dataclasses.fields(part) if getattr(part, f.name) != f.default}
    return f"{part.name} {canonical(given)}" if given else part.name
