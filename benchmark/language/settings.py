"""One value put into a grid by its dotted path: what `zip` does row by row and `--set` from the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmark import registry, typed
from benchmark.errors import InvalidValue, UserError, unknown
from benchmark.language.document import parse
from benchmark.language.keys import AXES, GRID
from benchmark.language.located import Key, Node, Place, failure
from benchmark.language.misplaced import belongs
from benchmark.recipe import Recipe

BUDGETS = {"iterations": "epochs", "epochs": "iterations"}
"""A recipe has one of the two: stating one takes back the other where that was stated further out."""
_EMPTY = Node({}, Place(""))


@dataclass(frozen=True)
class Setting:
    """A dotted path with its value; `node.place` says who asked for it."""

    path: str
    node: Node


def parse_setting(text: str) -> Setting:
    """`key=value` from the command line, the value read as YAML."""
    source = f"--set {text}"
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise UserError(f"{source}: expected `key=value`, such as `--set recipe.iterations=500`.")
    return Setting(path.strip(), parse(value, source=source, lines=False))


def over(outer: Node | None, inner: Node | None) -> Node | None:
    """Two recipes (or other mappings), the inner one's entries replacing the outer one's."""
    if outer is None or inner is None or not isinstance(outer.value, dict) or not isinstance(inner.value, dict):
        return inner if inner is not None else outer
    merged = inner
    for key, item in outer.value.items():
        if key not in inner.value and BUDGETS.get(str(key), key) not in inner.value:
            merged = dataclasses.replace(
                merged, value={**merged.items, key: item}, keys={**merged.keys, key: outer.keys.get(key, item.place)}
            )
    return merged


def put(grid: Node, setting: Setting) -> Node | None:
    """The grid with the value set, for every entry of the axis that has the parameter; None if none has it.

    InvalidValue if the path cannot mean anything: its first part is no axis, or the recipe has no such entry.
    """
    first, *rest = setting.path.split(".")
    if first not in GRID or first == "zip" or (first == "seeds" and rest):
        raise InvalidValue(unknown("axis or path", setting.path, [*AXES, "seeds", *(f"recipe.{item.name}" for item in _recipe_fields())]))
    if not rest:
        return grid.having(first, setting.node)
    if first == "recipe":
        changed = _in_recipe(grid.items.get("recipe", _EMPTY), rest, setting)
    else:
        changed = _in_specs(AXES[first], grid.items.get(first), rest, setting.node)
    return None if changed is None else grid.having(first, changed)


def reject(setting: Setting, grids: Iterable[Node]) -> InvalidValue:
    """The error for a path that no entry of its axis has."""
    first, *rest = setting.path.split(".")
    kind = AXES.get(first, "")
    known = sorted({field for grid in grids for field in _parameters(kind, grid.items.get(first))} if kind else set())
    what = f"parameter of the {kind} of this suite:" if kind else f"path in {first}:"
    return InvalidValue(unknown(what, ".".join(rest), known))


def _parameters(kind: str, node: Node | None) -> Iterator[str]:
    for entry in node.entries if node is not None else ():
        name = _name(entry)
        if name in registry.names(kind):
            yield from (item.name for item in dataclasses.fields(registry.get(kind, name)))


def _in_recipe(recipe: Node, path: list[str], setting: Setting) -> Node | None:
    names = [item.name for item in _recipe_fields()]
    if path[0] not in names:
        raise InvalidValue(belongs(path[0], setting.node.plain) or unknown("entry of the recipe", path[0], names))
    changed = _in_fields(Recipe, recipe, path, setting.node)
    return changed if changed is None or path[0] not in BUDGETS else changed.without(BUDGETS[path[0]])


def _in_specs(kind: str, node: Node | None, path: list[str], value: Node) -> Node | None:
    """A plug-in, or a list of them, with the parameter set where there is one."""
    if node is None:
        return None
    if isinstance(node.value, list):
        changed = [_in_specs(kind, item, path, value) for item in node.value]
        if all(item is None for item in changed):
            return None
        return dataclasses.replace(node, value=[new or old for new, old in zip(changed, node.value, strict=True)])
    name = _name(node)
    if name not in registry.names(kind):
        return None
    given = next(iter(node.items.values()), _EMPTY)
    inner = _in_fields(registry.get(kind, name), dataclasses.replace(given, place=node.place, path=(*node.path, name)), path, value)
    return None if inner is None else Node({name: inner}, node.place, node.path, {name: node.place})


def _in_fields(cls: type, given: Node, path: list[str], value: Node) -> Node | None:
    name, *rest = path
    item = next((item for item in dataclasses.fields(cls) if item.name == name), None)
    if item is None:
        return None
    if not rest:
        return given.having(name, value)
    kind = registry.plugin_kind(typed.types_of(cls)[name])
    if kind is None:
        return None
    changed = _in_specs(kind, given.items.get(name) or _default(item, value), rest, value)
    return None if changed is None else given.having(name, changed)


def _default(item: dataclasses.Field[object], value: Node) -> Node | None:
    return Node(item.default.name, value.place, value.path) if isinstance(item.default, registry.Plugin) else None


def _name(node: Node) -> str:
    return str(next(iter(node.items), "")) if isinstance(node.value, dict) else str(node.value)


def _recipe_fields() -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(Recipe)


def zip_rows(node: Node) -> list[list[Setting]]:
    """The rows of one `zip`: for each position of its lists, what is set."""
    if not isinstance(node.value, dict) or not node.value:
        raise failure(
            node, "expected axes or dotted paths with lists, such as `{imbalance.ratio: [10, 100], recipe.iterations: [500, 5000]}`."
        )
    lengths: dict[Key, int] = {}
    for key, item in node.value.items():
        if not isinstance(item.value, list) or not item.value:
            raise failure(item, "expected a list of at least one value in a zip.")
        lengths[key] = len(item.value)
    if len(set(lengths.values())) > 1:
        raise failure(node, "lists of unequal length: " + ", ".join(f"{key} has {length}" for key, length in lengths.items()) + ".")
    return [[Setting(str(key), item.entries[i]) for key, item in node.value.items()] for i in range(next(iter(lengths.values())))]
