"""Suites written by a program for people to read: plain YAML in the language's own order, short values on one line, comments over grids."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from benchmark.cells import Configuration
from benchmark.identity import as_number
from benchmark.recipe import Recipe
from benchmark.registry import Plugin, plain

_WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Lists inside mappings are indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  # the base class's signature
        super().increase_indent(flow, False)


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    """In Python's shortest exact form, which our reader takes for a number; 2.0 as 2."""
    number = as_number(value)
    if isinstance(number, int):
        return dumper.represent_int(number)
    digits, exponent, power = repr(number).partition("e")
    text = digits if "." in digits or not exponent else f"{digits}.0"  # without a dot PyYAML writes a tag before it
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{text}{exponent}{power}")


_Dumper.add_representer(float, _number)


def entry_text(key: str, value: Any) -> str:
    """`key: value` as YAML that ends with a line break; mappings without mappings in them stand on one line."""
    leaves = None if isinstance(value, dict | list) else False  # a mapping of nothing but scalars would stand in braces
    text: str = yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=leaves)
    return text


def grids_text(grids: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """`grid:` as a list, each entry under its comment."""
    lines = ["grid:"]
    for comment, grid in grids:
        lines += [f"  # {line}" for line in comment.splitlines()]
        body = "".join(entry_text(key, value) for key, value in grid.items()).splitlines()
        lines += [f"  {'-' if index == 0 else ' '} {line}" for index, line in enumerate(body)]
    return "\n".join(lines) + "\n"


def grid_of(config: Configuration, *, stated: Sequence[str], seeds: Any = None) -> dict[str, Any]:
    """A grid of one configuration: defaults left out. `stated`: entries of the recipe that must stand even so, since others do outside."""
    recipe = {
        item.name: spec_of(getattr(config.recipe, item.name))
        for item in dataclasses.fields(Recipe)
        if item.name in stated or getattr(config.recipe, item.name) != item.default
    }
    if config.recipe.iterations is not None and config.recipe.epochs is None:
        recipe.pop("epochs", None)
    else:
        recipe.pop("iterations", None)
    axes = {axis: spec_of(getattr(config, axis)) for axis in ("dataset", "imbalance", "method", "model")}
    return {**axes, "recipe": recipe, **({"seeds": seeds} if seeds is not None else {})}


def spec_of(value: Any) -> Any:
    """A parameter's value as a suite has it: a plug-in by its name, with the parameters that are not at their default."""
    if not isinstance(value, Plugin):
        return plain(value)
    given = {
        item.name: spec_of(getattr(value, item.name)) for item in dataclasses.fields(value) if getattr(value, item.name) != item.default
    }
    return {value.name: given} if given else value.name
