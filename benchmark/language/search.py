"""`search:` and `tuned_by:` of a suite: ranges and choices by dotted path, each checked against the parameters that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmark import registry, typed
from benchmark.errors import InvalidValue, shown, unknown
from benchmark.identity import canonical
from benchmark.language.keys import SEARCH
from benchmark.language.located import Node, failure, located
from benchmark.language.rules import selector
from benchmark.language.words import check_words, switch_of
from benchmark.search import SEARCHED, Dimension, Doc, Domain, Options, Span, domain_of, holder, paths, variants
from benchmark.selectors import Selector

_WAYS = ("log", "range", "choice", "declared")
_EXAMPLE = "such as {log: [1e-4, 1e-1]}, {range: [0, 0.5]}, {choice: [32, 64]} or declared"


def search_of(node: Node | None) -> tuple[Dimension, ...]:
    """The dimensions as they stand in the suite, each right in itself. `check_search` compares them with what is searched."""
    if node is None or node.value is None or node.value == {}:
        return ()
    if not isinstance(node.value, dict):
        raise failure(node, f"expected dotted paths with what they may be, {_EXAMPLE}, found {shown(node.plain)}.")
    return tuple(_dimension(node, str(path), item) for path, item in node.value.items())


def _dimension(parent: Node, path: str, node: Node) -> Dimension:
    first, dot, _ = path.partition(".")
    if first not in SEARCHED or not dot:
        why = "the data set and the imbalance are the question" if first in ("dataset", "imbalance") else "expected a dotted path"
        raise failure(parent, f"'{path}' cannot be searched: {why}. Paths begin with {', '.join(SEARCHED)}.", key=path)
    if node.value == "declared":
        return Dimension(path)
    if not isinstance(node.value, dict):
        raise failure(node, f"expected what '{path}' may be, {_EXAMPLE}, found {shown(node.plain)}.")
    check_words(node, SEARCH, what="key of a search space:")
    given = [way for way in _WAYS if way in node.items]
    if len(given) != 1:
        raise failure(node, f"expected one of {', '.join(_WAYS)}, found {' and '.join(given) or 'none of them'}.")
    when = selector(node.items["when"]) if "when" in node.items else Selector(())
    grid = tuple(item.plain for item in node.items["grid"].entries) if "grid" in node.items else ()
    return Dimension(path, _domain(node, given[0]), when, grid)


def _domain(node: Node, way: str) -> Domain | None:
    given = node.items[way]
    if way == "choice" and "grid" in node.items:
        raise failure(node, "'grid' belongs to a range: a choice is its own fixed set.", key="grid")
    if way != "range" and "step" in node.items:
        raise failure(node, "'step' belongs to a range.", key="step")
    if way == "declared":
        if not switch_of(given, default=True):
            raise failure(given, "expected true: leave the whole entry out to search nothing.")
        return None
    if way == "choice":
        if not isinstance(given.value, list) or len({canonical(item.plain) for item in given.entries}) < max(2, len(given.entries)):
            raise failure(given, f"expected a list of two different values or more, found {shown(given.plain)}.")
        return Options(tuple(item.plain for item in given.entries))
    low, high = _bounds(given, log=way == "log")
    return Span(low, high, log=way == "log", step=_step(node.items.get("step"), high - low))


def _bounds(node: Node, *, log: bool) -> tuple[float, float]:
    values = [item.plain for item in node.entries]
    numbers = [_number(value) for value in values]
    if not isinstance(node.value, list) or len(numbers) != 2 or None in numbers:
        raise failure(node, f"expected two numbers, the low and the high end, found {shown(node.plain)}.")
    low, high = (float(number) for number in numbers if number is not None)
    if not low < high or (log and low <= 0):
        raise failure(node, f"expected {'0 < ' if log else ''}low < high, found {shown(node.plain)}.")
    return low, high


def _step(node: Node | None, width: float) -> float | None:
    if node is None:
        return None
    step = _number(node.plain)
    if step is None or not 0 < step <= width:
        raise failure(node, f"expected a step of more than 0 and at most the width of the range ({width:g}), found {shown(node.plain)}.")
    return step


def _number(value: Any) -> float | None:
    """As the rest of the language reads numbers: YAML takes 1e-3 for a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if number - number == 0 else None


def check_search(node: Node, dimensions: Sequence[Dimension], docs: Sequence[Doc]) -> None:
    """SuiteError where a dimension is about no parameter of the suite's cells, or may be what a parameter cannot be."""
    every = variants(docs, _checked_choices(node, dimensions, docs))
    for dimension in dimensions:
        held = {found: None for doc in every if (found := holder(doc, dimension.path)) is not None}
        if not held:
            known = {path for doc in every for path in paths(doc)}
            raise failure(node, unknown("parameter to search:", dimension.path, known), key=dimension.path)
        for cls, name in held:
            _check_values(node.items[dimension.path], dimension, cls, name)


def _checked_choices(node: Node, dimensions: Sequence[Dimension], docs: Sequence[Doc]) -> Sequence[Dimension]:
    """The dimensions, those that choose a plug-in proven first: the others may be about its parameters."""
    for dimension in sorted(dimensions, key=lambda item: item.depth):
        for doc in docs:
            held = holder(doc, dimension.path)
            if held is not None and isinstance(dimension.domain, Options):
                _check_options(node.items[dimension.path], dimension.domain, *held)
    return dimensions


def _check_values(node: Node, dimension: Dimension, cls: type, name: str) -> None:
    try:
        domain = domain_of(dimension, cls, name)
    except InvalidValue as error:
        raise failure(node, error.problem) from None
    for index, value in enumerate(dimension.grid):
        _check(node.items["grid"].entries[index], cls, name, value)
    if isinstance(domain, Options):
        _check_options(node, domain, cls, name)
    elif registry.plugin_kind(typed.types_of(cls)[name]) or not typed.is_number(cls, name):
        raise failure(node, f"'{name}' is no number: give the values themselves, {{choice: [value, …]}}.")
    else:
        way = next((node.items[way] for way in ("log", "range") if way in node.items), node)
        for bound in (domain.low, domain.high):
            _check(way, cls, name, int(bound) if domain.whole and bound == int(bound) else bound)


def _check_options(node: Node, options: Options, cls: type, name: str) -> None:
    entries: Iterable[Node] = node.items["choice"].entries if "choice" in node.items else [node] * len(options.values)
    for item, value in zip(entries, options.values, strict=True):
        _check(item, cls, name, value)


def _check(node: Node, cls: type, name: str, value: Any) -> None:
    try:
        registry.converted(cls, name, value)
    except InvalidValue as error:
        raise located(error, node) from None


def tuned_by_of(node: Node | None) -> Any:
    """Where the values of a suite come from, as `tune --apply` wrote it; plain, for people to read."""
    if node is not None and node.value is not None and not isinstance(node.value, dict):
        raise failure(node, f"expected a mapping, as `skewbench tune --apply` writes it, found {shown(node.plain)}.")
    return node.plain if node is not None else None
