"""What a suite leaves open: a value in which lists are axes, counted before it is written out, and built once per distinct value."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark import registry, typed
from benchmark.errors import InvalidValue, Path
from benchmark.identity import canonical
from benchmark.language.located import Key, Node, failure, located
from benchmark.language.misplaced import refuse_misplaced
from benchmark.recipe import Recipe
from benchmark.registry import Plugin


@dataclass(frozen=True)
class One:
    """A value without alternatives."""

    node: Node

    @property
    def size(self) -> int:
        return 1

    def nodes(self) -> Iterator[Node]:
        yield self.node


@dataclass(frozen=True)
class Either:
    """The alternatives of a list, one after the other."""

    options: tuple[Choice, ...]

    @property
    def size(self) -> int:
        return sum(option.size for option in self.options)

    def nodes(self) -> Iterator[Node]:
        for option in self.options:
            yield from option.nodes()


@dataclass(frozen=True)
class Each:
    """A mapping whose entries have alternatives: their product, the last entry varying fastest."""

    node: Node
    fields: Mapping[Key, Choice]

    @property
    def size(self) -> int:
        return math.prod(option.size for option in self.fields.values())

    def nodes(self) -> Iterator[Node]:
        for picked in itertools.product(*(option.nodes() for option in self.fields.values())):
            yield dataclasses.replace(self.node, value=dict(zip(self.fields, picked, strict=True)))


Choice = One | Either | Each


def plugin_choice(kind: str, node: Node, *, optional: bool = False) -> Choice:
    """`name`, `{name: {parameter: value | [values]}}`, or a list of these; of null too where the plug-in is `optional`."""
    if isinstance(node.value, list):
        return Either(tuple(One(item) if optional and item.value is None else _spec_choice(kind, item) for item in _distinct(node)))
    return _spec_choice(kind, node)


def recipe_choice(node: Node) -> Choice:
    """The entries of a recipe, each a value or a list of values."""
    return Each(node, _field_choices(Recipe, node))


def _spec_choice(kind: str, node: Node) -> Choice:
    if node.value is None:
        raise failure(node, f"expected a {kind.removesuffix('s')}'s name, found nothing.")
    if len(node.items) != 1:
        return One(node)
    ((name, given),) = node.items.items()
    if not given.items or name not in registry.names(kind):
        return One(node)
    return Each(node, {name: Each(given, _field_choices(registry.get(kind, str(name)), given))})


def _field_choices(cls: type, given: Node) -> dict[Key, Choice]:
    hints = typed.types_of(cls)
    known = {item.name for item in dataclasses.fields(cls)}
    return {key: _value_choice(hints[str(key)], item) if key in known else One(item) for key, item in given.items.items()}


def _value_choice(hint: Any, node: Node) -> Choice:
    kind = registry.plugin_kind(hint)
    if kind is not None and node.value is not None:
        return plugin_choice(kind, node, optional=typed.is_optional(hint))
    if not isinstance(node.value, list):
        return One(node)
    if typed.takes_list(hint) and not any(isinstance(item.value, list) for item in node.value):
        return One(node)
    return Either(tuple(One(item) for item in _distinct(node)))


def _some(node: Node) -> list[Node]:
    if not node.entries:
        raise failure(node, "an empty list: expected at least one value.")
    return node.entries


def _distinct(node: Node) -> list[Node]:
    """The entries of a list, those that are written alike once."""
    found: dict[str, Node] = {}
    for item in _some(node):
        found.setdefault(repr(item.plain), item)
    return list(found.values())


def plugin_names(choice: Choice) -> list[str]:
    """The names among the alternatives of an axis, in order, each once; those inside other plug-ins left out."""
    options = choice.options if isinstance(choice, Either) else (choice,)
    nodes = [option.node for option in options if not isinstance(option, Either)]
    return list(dict.fromkeys(str(next(iter(node.items), node.plain)) for node in nodes))


T = TypeVar("T", bound=Plugin | Recipe)


class Builder:
    """Builds plug-ins and recipes, each distinct one once: equal values are the same object."""

    def __init__(self) -> None:
        self._by_source: dict[tuple[str, str], Any] = {}
        self._by_meaning: dict[tuple[str, str], Any] = {}

    def plugins(self, kind: str, choice: Choice) -> list[Plugin]:
        """Every alternative, in order, each once."""
        return _once(self._plugin(kind, node) for node in choice.nodes())

    def recipes(self, choice: Choice) -> list[Recipe]:
        """Every alternative, in order, each once."""
        return _once(self._recipe(node) for node in choice.nodes())

    def _plugin(self, kind: str, node: Node) -> Plugin:
        source = (kind, repr(node.plain))
        if source not in self._by_source:
            try:
                self._by_source[source] = self._shared(kind, registry.build(kind, node.plain))
            except InvalidValue as error:
                raise located(error, node) from None
        made: Plugin = self._by_source[source]
        return made

    def _recipe(self, node: Node) -> Recipe:
        source = ("recipe", repr(node.plain))
        if source not in self._by_source:
            refuse_misplaced(node, [item.name for item in dataclasses.fields(Recipe)])
            try:
                self._by_source[source] = self._shared("recipe", registry.build_fields(Recipe, node.plain, what="the recipe"))
            except InvalidValue as error:
                raise located(error, node) from None
        made: Recipe = self._by_source[source]
        return made

    def _shared(self, kind: str, made: T) -> T:
        _refuse_infinite(made.doc)
        shared: T = self._by_meaning.setdefault((kind, canonical(made.doc)), made)
        return shared


def _once(found: Iterator[T]) -> list[T]:
    return list({id(item): item for item in found}.values())


def _refuse_infinite(value: Any, path: Path = ()) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"expected a finite number, found {value}.", path=path)
    below = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        _refuse_infinite(item, (*path, key))
