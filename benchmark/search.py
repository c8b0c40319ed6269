"""Search spaces: what `skewbench tune` may vary, and how a point of such a space becomes a configuration. No optimiser is known here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark import registry, typed
from benchmark.cells import Configuration
from benchmark.errors import InvalidValue
from benchmark.identity import canonical
from benchmark.recipe import Recipe
from benchmark.selectors import Selector

SEARCHED = ("method", "model", "recipe")
"""Parts of a cell that may be searched: data set and imbalance are the question."""
Doc = Mapping[str, Any]
"""A configuration's method, model and recipe as plain JSON with every default filled in."""


@dataclass(frozen=True)
class Span:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def words(self) -> str:
        text = f"{self.low:g} … {self.high:g}" + (" (log)" if self.log else "")
        return text + (f" in steps of {self.step:g}" if self.step else "")


@dataclass(frozen=True)
class Options:
    """One of some values, plug-ins among them as plain JSON."""

    values: tuple[Any, ...]

    @property
    def texts(self) -> tuple[str | int | float | bool | None, ...]:
        """The values as an optimiser can keep them: a mapping or a list as its canonical text."""
        return tuple(canonical(value) if isinstance(value, Mapping | list) else value for value in self.values)

    @property
    def words(self) -> str:
        return "one of " + ", ".join(map(str, self.texts))


Domain = Span | Options


@dataclass(frozen=True)
class Dimension:
    """One searched parameter. `domain` is None where the parameter's own declared range counts."""

    path: str
    domain: Domain | None = None
    when: Selector = Selector(())
    grid: tuple[Any, ...] = ()
    """The study's own fixed set: what a grid search takes instead of a span."""

    @property
    def depth(self) -> int:
        return self.path.count(".")


Pick = Callable[[str, Domain], Any]
"""Chooses a value of a domain for the parameter at a path."""


def walk(dimensions: Sequence[Dimension], base: Configuration, pick: Pick) -> tuple[Configuration, dict[str, Any]]:
    """The configuration at the point that `pick` chooses, and the chosen values by path.

    What a plug-in is chosen by is asked before its parameters; a dimension whose condition does not hold, or whose parameter the
    configuration as chosen so far does not have, is not asked for.
    """
    values: dict[str, Any] = {}
    config = base
    for dimension in sorted(dimensions, key=lambda item: item.depth):
        held = holder(config.doc, dimension.path)
        if held is None or not dimension.when.matches(config.attributes):
            continue
        values[dimension.path] = value = pick(dimension.path, domain_of(dimension, *held))
        config = placed(config, {dimension.path: value})
    return config, values


def applies(dimensions: Sequence[Dimension], base: Configuration) -> tuple[Dimension, ...]:
    """The dimensions that some point of the space of this configuration has.

    One whose condition speaks of what no other dimension varies is ruled out where that does not hold: no point could ask for it.
    """
    docs = variants([base.doc], dimensions)
    found = tuple(item for item in dimensions if any(holder(doc, item.path) for doc in docs) and not _ruled_out(item, dimensions, base))
    return found if len(found) == len(dimensions) else applies(found, base)  # with one gone, what it would have varied stands still


def _ruled_out(dimension: Dimension, dimensions: Sequence[Dimension], base: Configuration) -> bool:
    """Whether a condition of the dimension fails whatever the others are."""
    varied = [item.path for item in dimensions]
    fixed = [each for each in dimension.when.conditions if not any(f"{each.attribute}.".startswith(f"{path}.") for path in varied)]
    attributes = base.attributes
    return not all(condition.holds(attributes) for condition in fixed)


def variants(docs: Sequence[Doc], dimensions: Sequence[Dimension]) -> list[Doc]:
    """The documents, and what becomes of them under each plug-in that a dimension may choose."""
    found = list(docs)
    for dimension in sorted(dimensions, key=lambda item: item.depth):
        if not isinstance(dimension.domain, Options):
            continue
        for doc in list(found):
            held = holder(doc, dimension.path)
            if held is not None and registry.plugin_kind(typed.types_of(held[0])[held[1]]):
                found += [with_value(doc, dimension.path, value) for value in dimension.domain.values]
    return found


def placed(base: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with the values at their paths; paths that it does not have are left out. InvalidValue for one out of range."""
    doc: Doc = base.doc
    for path in sorted(values, key=lambda item: item.count(".")):
        if holder(doc, path) is not None:
            doc = with_value(doc, path, values[path])
    made = {
        part: registry.build(f"{part}s", doc[part]) for part in ("method", "model") if doc[part] is not base.doc[part]
    }  # fmt: skip
    if doc["recipe"] is not base.doc["recipe"]:
        given = {name: value for name, value in doc["recipe"].items() if value is not None}
        return dataclasses.replace(base, recipe=registry.build_fields(Recipe, given, what="the recipe"), **made)  # type: ignore[arg-type]  # built by kind
    return dataclasses.replace(base, **made) if made else base  # type: ignore[arg-type]  # built by kind


def holder(doc: Doc, path: str) -> tuple[type, str] | None:
    """The class that has the parameter at a path of a document, and the parameter's name; None where there is none."""
    first, *rest = path.split(".")
    if first not in SEARCHED or not rest:
        return None
    cls, fields = _entered(f"{first}s", doc[first]) if first != "recipe" else (Recipe, doc["recipe"])
    for step in rest[:-1]:
        kind = registry.plugin_kind(typed.types_of(cls)[step]) if step in fields else None
        if kind is None or not isinstance(fields[step], Mapping):
            return None
        cls, fields = _entered(kind, fields[step])
    return (cls, rest[-1]) if rest[-1] in fields else None


def with_value(doc: Doc, path: str, value: Any) -> dict[str, Any]:
    """The document with a value at a path that it has; a plug-in is filled up with its defaults."""
    cls, name = holder(doc, path) or _absent(path)
    kind = registry.plugin_kind(typed.types_of(cls)[name])
    filled = registry.build(kind, value).doc if kind is not None and value is not None else value
    first, *rest = path.split(".")
    return {**doc, first: _put(doc[first], rest, filled, inside=first == "recipe")}


def value_at(doc: Doc, path: str) -> Any:
    """What stands at a path that the document has."""
    first, *rest = path.split(".")
    value = doc[first]
    for index, step in enumerate(rest):
        value = (value if first == "recipe" and index == 0 else next(iter(value.values())))[step]
    return value


def _put(node: Mapping[str, Any], path: Sequence[str], value: Any, *, inside: bool) -> dict[str, Any]:
    """`inside`: the node is a mapping of parameters, else a plug-in with its name over them."""
    if not inside:
        ((name, fields),) = node.items()
        return {name: _put(fields, path, value, inside=True)}
    if len(path) == 1:
        return {**node, path[0]: value}
    return {**node, path[0]: _put(node[path[0]], path[1:], value, inside=False)}


def domain_of(dimension: Dimension, cls: type, name: str) -> Domain:
    """What a dimension may be in the class that has the parameter: whole numbers where it takes those alone, its declared range."""
    whole = typed.is_whole(cls, name)
    if isinstance(dimension.domain, Span):
        return dataclasses.replace(dimension.domain, whole=whole)
    if dimension.domain is not None:
        return dimension.domain
    meta = next(item.metadata for item in dataclasses.fields(cls) if item.name == name)
    if "choices" in meta:
        return Options(tuple(meta["choices"]))
    low, high, log = meta.get("low", meta.get("above")), meta.get("high"), bool(meta.get("log"))
    if low is None or high is None or (log and low <= 0) or "above" in meta:
        raise InvalidValue(f"'{name}' declares no closed range to search: give one, such as {{log: [1e-4, 1e-1]}} or {{range: [0, 0.5]}}.")
    return Span(low, high, log, whole=whole)


def grid_values(dimension: Dimension, domain: Domain) -> tuple[Any, ...]:
    """The values of a dimension that a grid search goes through; InvalidValue where no fixed set is stated."""
    if dimension.grid:
        return dimension.grid
    if isinstance(domain, Options):
        return domain.texts
    if domain.step:
        number = int((domain.high - domain.low) / domain.step + 1e-9) + 1
        return tuple(domain.low + index * domain.step for index in range(number))
    raise InvalidValue(f"a grid search needs a fixed set for {dimension.path}: add `grid: [value, …]` to it, or a `step`.")


def paths(doc: Doc) -> Iterator[str]:
    """Every path of a document that could be searched."""
    for part in SEARCHED:
        fields = doc[part] if part == "recipe" else next(iter(doc[part].values()))
        yield from _paths(fields, part)


def _paths(fields: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in fields.items():
        yield f"{prefix}.{name}"
        if isinstance(value, Mapping) and len(value) == 1:
            inner = next(iter(value.values()))
            yield from _paths(inner, f"{prefix}.{name}") if isinstance(inner, Mapping) else ()


def _entered(kind: str, node: Mapping[str, Any]) -> tuple[type, Mapping[str, Any]]:
    ((name, fields),) = node.items()
    return registry.get(kind, name), fields


def _absent(path: str) -> tuple[type, str]:
    raise InvalidValue(f"no parameter at {path}.")
