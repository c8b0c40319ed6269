"""A key that is right elsewhere: which plug-in, or the recipe, has a parameter of that name."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection, Mapping
from typing import Any

from benchmark import registry
from benchmark.errors import ALIASES, folded
from benchmark.language.keys import AXES
from benchmark.language.located import Node, failure
from benchmark.recipe import Recipe

_WORDS = {"dataset": "data set"}
_NESTED = {item.name: item.default for item in dataclasses.fields(Recipe) if isinstance(item.default, registry.Plugin)}
"""The plug-ins of a recipe, with the defaults that stand in examples."""


def refuse_misplaced(node: Node, known: Collection[str]) -> None:
    """SuiteError for a key that is unknown in this mapping and a parameter elsewhere; others are left to the caller."""
    for key, item in node.items.items():
        where = "" if key in known else belongs(str(key), item.plain)
        if where:
            raise failure(node, f"'{key}' cannot stand here: {where}", key=key)


def belongs(key: str, value: Any) -> str:
    """Where a parameter belongs, as an example with the value given; empty if it is no parameter that a whole kind has."""
    name = ALIASES.get(folded(key), key)
    shown = json.dumps(value).replace('"', "")[:40] if isinstance(value, str | int | float) else "…"
    owner = _owners().get(name)
    if owner is None:
        return ""
    if owner == "recipe":
        return f"'{name}' is an entry of the recipe, `recipe: {{{name}: {shown}}}`."
    example = _NESTED[owner].name if owner in _NESTED else "NAME"
    return f"'{name}' is a parameter of the {_WORDS.get(owner, owner)}, `{owner}: {{{example}: {{{name}: {shown}}}}}`."


@functools.cache
def _owners() -> Mapping[str, str]:
    """Parameters that every plug-in of a kind has, and the entries of the recipe."""
    kinds = {**AXES, **{name: default.kind for name, default in _NESTED.items()}}
    found = {item.name: "recipe" for item in dataclasses.fields(Recipe)}
    for word, kind in kinds.items():
        base = next(cls for cls in registry.get(kind, registry.names(kind)[0]).__mro__ if "kind" in vars(cls))
        found |= {item.name: word for item in dataclasses.fields(base)}
    return found
