"""Stages: the distinct pieces of work behind cells, content-addressed, so that work which two cells share stands in a plan once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.cells import Cell, Configuration
from benchmark.datasets import Dataset
from benchmark.draw import Counts, planned_counts
from benchmark.errors import InvalidValue
from benchmark.identity import canonical, digest
from benchmark.methods import Adjust, Finetune, Step, Train
from benchmark.recipe import WATCHING, Recipe
from benchmark.records import DatasetInfo, Problem
from benchmark.registry import Plugin, plain

KEPT = frozenset({"predict", "finetune", "finetune-through", "adjust"})
"""Operations whose arrays are never let go: predictions. Those of others are, once no stage needs them."""

OPERATIONS = {"train": 1, "predict": 2, "features": 2, "finetune": 1, "finetune-through": 1, "adjust": 1}
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
    def stream_key(self) -> str:
        """What a random stream may depend on: `science_key`, watching left out, so that a training goes the same way when it is watched."""
        recipe = {name: value for name, value in self.science.get("recipe", {}).items() if name not in WATCHING}
        science = {**self.science, "recipe": recipe} if recipe else self.science
        return digest(canonical([self.op, science, self.parent.stream_key if self.parent else None]))

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

    @property
    def file_name(self) -> str:
        """Where its arrays lie in a store."""
        return f"arrays/{self.key[:2]}/{self.key}.safetensors"

    @property
    def document(self) -> dict[str, Any]:
        """The stage and those before it as JSON, for another process."""
        own = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**own, "parent": self.parent.document if self.parent else None}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Stage:
        """The stage that `document` was made of, with the same keys."""
        parent = document["parent"]
        return cls(**{**document, "parent": cls.from_document(parent) if parent else None})


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
        return self.cell.config.key(self.fingerprint)


@dataclass
class StageBuilder:
    """Turns cells into stages; equal stages become one object."""

    infos: Mapping[str, DatasetInfo]
    """By the canonical text of the data set."""
    share: bool = True
    """False: every method has trainings of its own, with random streams of their own."""
    _stages: dict[str, Stage] = field(default_factory=dict)
    _made: dict[tuple[Any, ...], Stage] = field(default_factory=dict)
    """By what a stage is asked for with: most cells of a large plan ask for one that is there, and keys are dear."""
    _parts: dict[tuple[Any, ...], tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, str]]] = field(default_factory=dict)
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
        if config.recipe.preprocess is not None:
            _check_in_memory(config.dataset)
            config.recipe.preprocess.check(info.shape)
        problem = problem_of(config.recipe, counts.train, counts.class_names, info.shape)
        stage: Stage | None = None
        sampled = counts.train
        for step in config.method.steps(problem):
            if isinstance(step, Train):
                sampled = step.class_counts or counts.train
                train = functools.partial(self._train, cell, info, step, problem)
                parts = (config.dataset, config.imbalance, config.model, config.recipe, None if self.share else config.method)
                trained = self._once(train, *map(id, parts), step.by.text, step.own_loss, step.class_counts, cell.seed)
                stage = self._once(functools.partial(self._predict, trained), id(trained))
            else:
                next_ = functools.partial(self._next, stage, step, problem, config.recipe)
                stage = self._once(next_, id(stage), type(step), step.by.text)
        assert stage is not None, f"method '{config.method.name}' has no steps"
        return CellStages(cell, stage, info.fingerprint, counts.class_names, counts.train, sampled)

    def _planned_counts(self, cell: Cell, info: DatasetInfo) -> Counts:
        """Counts depend on data set, imbalance and seed alone: worked out once for all methods and models."""
        dataset, imbalance = cell.config.dataset, cell.config.imbalance
        key = (dataset.text, imbalance.text, cell.seed)
        if key not in self._counts:
            self._counts[key] = planned_counts(dataset, info, imbalance, cell.seed)
        return self._counts[key]

    def _once(self, make: Callable[[], Stage], *asked: Any) -> Stage:
        """The stage made before for the same question, else a new one. Objects are told apart by their ids: cells keep them alive."""
        if asked not in self._made:
            self._made[asked] = make()
        return self._made[asked]

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
        named, named_science, code = self._named(config, step)
        full, science = {**numbers, **named}, {**numbers, **named_science}
        full["image_shape"], full["test_counts"] = info.shape, info.test_counts  # for prices; the fingerprint stands for them in identity
        return self._one(Stage("train", full, science, code, step.by.name))

    def _named(self, config: Configuration, step: Train) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, str]]:
        """The parts of a training as JSON, in full and without places, and their code keys: once for all seeds."""
        named = {"dataset": config.dataset, "imbalance": config.imbalance, "model": config.model, "recipe": config.recipe}
        named["loss"] = step.by if step.own_loss else None
        if not self.share:
            named["unshared"] = config.method
        asked = (
            *map(id, (config.dataset, config.imbalance, config.model, config.recipe, named.get("unshared"))),
            step.by.text,
            step.own_loss,
        )
        if asked not in self._parts:
            recipe = config.recipe
            given = (recipe.optimizer, recipe.schedule, recipe.preprocess, recipe.augment)
            parts: tuple[Plugin | None, ...] = (config.dataset, config.imbalance, config.model, step.by, *given)
            code = {name: key for part in parts if part is not None for name, key in part.code.items()}
            full, science = ({name: plain(part, identity=drop) for name, part in named.items()} for drop in (False, True))
            self._parts[asked] = full, science, code
        return self._parts[asked]

    def _predict(self, trained: Stage) -> Stage:
        return self._one(Stage("predict", {}, {}, {}, trained.owner, trained))

    def _next(self, stage: Stage | None, step: Step, problem: Problem, recipe: Recipe) -> Stage:
        """A step that works on the result of those before it."""
        assert stage is not None, "the first step of a method must train"
        own = {name: key for name, key in step.by.code.items() if name == f"methods:{step.by.name}"}
        if isinstance(step, Finetune):
            if stage.op != "predict":
                raise InvalidValue(
                    f"{step.by.name} fine-tunes a network that has just been trained; '{stage.owner}' does more: not supported."
                )
            config: Mapping[str, Any] = {"lr_factor": step.lr_factor, "steps": recipe.num_steps(sum(problem.class_counts))}
            if step.frozen_dropout:
                return self._one(Stage("finetune-through", config, config, own, step.by.name, stage.parent))
            features = self._one(Stage("features", {}, {}, {}, step.by.name, stage.parent))
            return self._one(Stage("finetune", config, config, own, step.by.name, features))
        assert isinstance(step, Adjust), step
        offset = {"offset": step.offset}
        return self._one(Stage("adjust", offset, offset, own, step.by.name, stage))

    def _one(self, stage: Stage) -> Stage:
        return self._stages.setdefault(stage.key, stage)


def problem_of(recipe: Recipe, class_counts: tuple[int, ...], class_names: tuple[str, ...], shape: tuple[int, int, int]) -> Problem:
    """What a method is told, alike when it plans and when it makes its loss: the budget is that of the set before its own sampling."""
    return Problem(class_counts, class_names, shape, recipe.num_steps(sum(class_counts)), recipe.batch, recipe.label_smoothing)


def _check_in_memory(dataset: Dataset) -> None:
    if dataset.is_streamed:
        raise InvalidValue(
            f"'preprocess' works on all images at once, and data set '{dataset.name}' never holds them: leave it out, or choose a data set "
            "in memory (image-folder for a folder)."
        )


def _words(cell: Cell) -> str:
    parts = (cell.config.dataset, cell.config.imbalance, cell.config.method, cell.config.model)
    return ", ".join([*(f"{part.kind.removesuffix('s')} {_spec(part)}" for part in parts), f"seed {cell.seed}"])


def _spec(part: Plugin) -> str:
    """A plug-in as it stands in a suite: its name, and the parameters that are not at their default."""
    given = {f.name: plain(getattr(part, f.name)) for f in dataclasses.fields(part) if getattr(part, f.name) != f.default}
    return f"{part.name} {canonical(given)}" if given else part.name
