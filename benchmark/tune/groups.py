"""Groups of cells that are tuned together, each a study: by default one per data set, imbalance, method and model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.cells import Cell, Configuration
from benchmark.errors import InvalidValue, UserError
from benchmark.identity import canonical, digest
from benchmark.language.rules import Rule, reason
from benchmark.search import Dimension, Domain, Options, applies, domain_of, grid_values, holder, value_at, variants, walk
from benchmark.seeds import stream_seed
from benchmark.tune.settings import DEFAULT_PER, Settings


@dataclass(frozen=True)
class Group:
    """Cells that differ in what is searched and in the seed, or also in an axis that `--per` leaves out."""

    suite: str
    bases: tuple[Configuration, ...]
    """Untuned; several where one choice is to do for all of them."""
    dimensions: tuple[Dimension, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def base(self) -> Configuration:
        return self.bases[0]

    @property
    def is_conditional(self) -> bool:
        """Whether a point of the space may lack a parameter that another point has."""
        held = [all(holder(doc, item.path) for doc in self._docs) for item in self.dimensions]
        return not all(held) or any(item.when.conditions for item in self.dimensions)

    def configurations(self, values: Mapping[str, Any]) -> list[Configuration]:
        """The cells' configurations at a point; InvalidValue where the point is excluded or impossible."""
        return [self._configuration(base, values) for base in self.bases]

    def _configuration(self, base: Configuration, values: Mapping[str, Any]) -> Configuration:
        """A base with those of the values that it asks for. A rule that the suite waives for the base (by `include`) is waived here."""
        asked = [item for item in self.dimensions if item.path in values]
        config, _ = walk(asked, base, lambda path, _: values[path])
        standing = [rule for rule in self.rules if not rule.leaves_out({**base.attributes, "seed": 0})]
        because = reason(standing, {**config.attributes, "seed": 0})
        if because:
            raise InvalidValue(f"left out by {because}")
        return config

    def chosen(self, pick: Callable[[str, Domain], Any]) -> dict[str, Any]:
        """The values at the point that `pick` chooses, once for all bases that ask for a parameter."""
        values: dict[str, Any] = {}

        def once(path: str, domain: Domain) -> Any:
            if path not in values:
                values[path] = pick(path, domain)
            return values[path]

        for base in self.bases:
            walk(self.dimensions, base, once)
        return values

    @functools.cached_property
    def _docs(self) -> Sequence[Mapping[str, Any]]:
        """What the bases may become by the plug-ins that are chosen."""
        return variants([base.doc for base in self.bases], self.dimensions)

    def domains(self) -> dict[str, tuple[Dimension, Domain]]:
        """Every dimension with what it may be, by path, in the order in which they are asked for."""
        docs = self._docs
        found = {}
        for item in sorted(self.dimensions, key=lambda dimension: dimension.depth):
            held = next(held for doc in docs if (held := holder(doc, item.path)) is not None)
            found[item.path] = item, domain_of(item, *held)
        return found

    def grid(self) -> dict[str, tuple[Any, ...]]:
        """The fixed set of each parameter; UserError where one has none."""
        try:
            return {path: grid_values(*found) for path, found in self.domains().items()}
        except InvalidValue as error:
            raise UserError(f"--sampler grid: {error.problem}") from None

    @property
    def untuned(self) -> dict[str, Any]:
        """What the suite states for the searched parameters."""
        docs = [base.doc for base in reversed(self.bases)]
        return {item.path: value_at(doc, item.path) for doc in docs for item in self.dimensions if holder(doc, item.path)}


def groups_of(suite: str, cells: Sequence[Cell], dimensions: Sequence[Dimension], rules: Sequence[Rule], settings: Settings) -> list[Group]:
    """The groups in suite order, those to which nothing of the space applies too.

    UserError where there is nothing to search or no validation part to search on.
    """
    if not dimensions:
        raise UserError(
            f"suite '{suite}' says nothing to search: add for instance `search: {{recipe.optimizer.lr: {{log: [1e-4, 1e-1]}}}}`."
        )
    found: dict[str, dict[str, Configuration]] = {}
    for config in {id(cell.config): cell.config for cell in cells if not cell.skip}.values():
        bare = _bare(config, dimensions)
        key = canonical(bare if set(settings.per) == set(DEFAULT_PER) else {axis: bare[axis] for axis in settings.per})
        found.setdefault(key, {}).setdefault(canonical(bare), config)
    groups = [_group(suite, tuple(bases.values()), dimensions, rules) for bases in found.values()]
    if not any(group.dimensions for group in groups):
        raise UserError(f"nothing of the search space of suite '{suite}' applies to the cells that are meant.")
    for group in groups:
        _check_validation(group)
    return groups


def _group(suite: str, bases: tuple[Configuration, ...], dimensions: Sequence[Dimension], rules: Sequence[Rule]) -> Group:
    of_any = {item.path for base in bases for item in applies(dimensions, base)}
    return Group(suite, bases, tuple(item for item in dimensions if item.path in of_any), tuple(rules))


def _bare(config: Configuration, dimensions: Sequence[Dimension]) -> Mapping[str, Any]:
    """A configuration apart from what is searched."""
    doc = dict(config.doc)
    for item in sorted(dimensions, key=lambda dimension: dimension.depth):
        if holder(doc, item.path) is not None:
            doc = _without(doc, item.path)
    return doc


def _without(doc: Mapping[str, Any], path: str) -> dict[str, Any]:
    first, *rest = path.split(".")
    return {**doc, first: _cut(doc[first], rest, inside=first == "recipe")}


def _cut(node: Mapping[str, Any], path: Sequence[str], *, inside: bool) -> dict[str, Any]:
    if not inside:
        ((name, fields),) = node.items()
        return {name: _cut(fields, path, inside=True)}
    if len(path) == 1:
        return {key: value for key, value in node.items() if key != path[0]}
    return {**node, path[0]: _cut(node[path[0]], path[1:], inside=False)}


def _check_validation(group: Group) -> None:
    for base in group.bases:
        if not base.dataset.validation:
            name = base.dataset.name
            raise UserError(
                f"the data set '{name}' has no validation part, and nothing may be chosen by the test part: add one, "
                f"`dataset: {{{name}: {{validation: 0.1}}}}` in the suite, or `--set dataset.validation=0.1`."
            )


def condition_words(config: Configuration) -> str:
    """Data set, imbalance and model in words: `fashion-mnist · step ratio=50 · lenet5`."""
    ratio = getattr(config.imbalance, "ratio", None)
    imbalance = config.imbalance.name + (f" ratio={ratio:g}" if isinstance(ratio, int | float) else "")
    return " · ".join((config.dataset.name, imbalance, config.model.name))


def study_name(group: Group, settings: Settings, stage_keys: Sequence[str]) -> str:
    """Readable, and another one whenever data, code, space, objective or sampler are. `stage_keys`: of the untuned cells."""
    space = {path: [domain.words, repr(item.when), repr(item.grid)] for path, (item, domain) in group.domains().items()}
    own = digest(canonical([list(stage_keys), space, settings.identity]))[:6]
    methods = "+".join(dict.fromkeys(base.method.name for base in group.bases))
    return f"{group.suite}: {methods} · {condition_words(group.base)} [{own}]"


def trial_seeds(suite: str, number: int) -> tuple[int, ...]:
    """The seeds that trials train with: the same for every trial and method, so that they are compared on the same images.

    They are drawn from the suite's name, far from the seeds 0, 1, … that winners are re-trained with.
    """
    return tuple(2**20 + stream_seed("search", suite, "training", index) % 2**30 for index in range(number))


def as_stored(value: Any, domain: Domain) -> Any:
    """A value from an optimiser's storage as the suite's language has it."""
    if isinstance(domain, Options):
        return domain.values[domain.texts.index(value)]
    return value
