"""The suite language as a JSON Schema, so that editors complete and check suites: `python -m benchmark.schema > suites/schema.json`.

It is made from the words in `benchmark.language.keys` and from the parameters of every plug-in that is known when it runs.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from benchmark import registry, typed
from benchmark.language.claims import COMBINATIONS, RELATION
from benchmark.language.keys import (
    AXES,
    CLAIM,
    CONSTRAINT,
    DEFAULTS,
    EXCLUDE,
    GRID,
    MAX_NAME,
    NAME_PATTERN,
    REFERENCE,
    SEARCH,
    SELECT,
    TOP,
    TREND,
    Shape,
    Word,
)  # fmt: skip
from benchmark.language.rules import attribute_names
from benchmark.recipe import Recipe
from benchmark.records import DERIVED, PROFILED

Schema = dict[str, Any]
_VALUE: Schema = {"type": ["string", "number", "boolean", "null"]}
_SEED: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string", "pattern": r"\S"}


def suite_schema() -> Schema:
    """The schema (draft 2020-12) of a suite."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "skewbench suite",
        **_words(TOP, required=("suite",)),
        "anyOf": [{"required": ["grid"]}, {"required": ["extends"]}],
        "$defs": {
            **{kind: _axis(kind) for kind in registry.KINDS},
            "recipe": _fields(Recipe),
            "gridItem": _words(GRID),
            "when": _when(),
            "operand": _operand(),
            "condition": _one_or_more(_VALUE),
        },
    }


def _words(words: Mapping[str, Word], *, required: tuple[str, ...] = ()) -> Schema:
    properties = {key: {"description": word.doc, **_shape(key, word.shape)} for key, word in words.items()}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


def _shape(key: str, shape: Shape) -> Schema:
    if shape == "axis":
        return {"$ref": f"#/$defs/{AXES[key]}"}
    return _SHAPES[shape]()


def _rules(words: Mapping[str, Word], *required: str) -> Schema:
    return {"type": "array", "items": _words(words, required=required)}


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _metrics() -> Schema:
    per_class: Schema = {"enum": [f"{name}.per_class" for name in registry.names("metrics")]}
    return {"anyOf": [_ref("metrics"), per_class, {"type": "array", "minItems": 1, "items": {"anyOf": [_ref("metrics"), per_class]}}]}


def _zip() -> Schema:
    lists: Schema = {"type": "array", "minItems": 1}
    paths = r"^(dataset|imbalance|method|model|recipe)(\.[A-Za-z0-9_]+)+$"
    axes = dict.fromkeys((*AXES, "seeds", "recipe"), lists)
    return _one_or_more(
        {
            "type": "object",
            "properties": axes,
            "patternProperties": {paths: lists},
            "additionalProperties": False,
            "minProperties": 1,
        }
    )


_SHAPES: Mapping[Shape, Callable[[], Schema]] = {
    "name": lambda: {"type": "string", "pattern": f"^{NAME_PATTERN}(/{NAME_PATTERN})*$", "maxLength": MAX_NAME},
    "text": lambda: _TEXT,
    "seeds": lambda: {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": _SEED, "minItems": 1, "uniqueItems": True}]},
    "defaults": lambda: _words(DEFAULTS),
    "grids": lambda: _one_or_more(_ref("gridItem")),
    "excludes": lambda: _rules(EXCLUDE, "when", "because"),
    "constraints": lambda: _rules(CONSTRAINT, "require", "because"),
    "recipe": lambda: _ref("recipe"),
    "metrics": _metrics,
    "method": lambda: {"enum": registry.names("methods")},
    "zip": _zip,
    "switch": lambda: {"enum": ["on", "off", True, False]},
    "when": lambda: _ref("when"),
    "claims": lambda: {"type": "array", "items": _claim()},
    "references": lambda: _rules(REFERENCE, "id", "metric", "source"),
    "select": lambda: _words(SELECT, required=("by", "over")),
    "operands": lambda: {"type": "object", "minProperties": 1, "additionalProperties": _ref("operand")},
    "operand": lambda: _ref("operand"),
    "relations": lambda: _one_or_more({"type": "string", "pattern": f"^{RELATION}$"}),
    "share": lambda: {"anyOf": [{"enum": ["every", "some", "pooled"]}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]},
    "attributes": lambda: _one_or_more(_attribute()),
    "attribute": lambda: _attribute(),
    "number": lambda: {"type": ["number", "null"]},
    "scores": lambda: _one_or_more({"type": "string", "pattern": f"^(test|validation)[.]({_metric_names()})$"}),
    "search": lambda: _search(),
    "bounds": lambda: {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    "values": lambda: {"type": "array", "minItems": 1},
    "tuned": lambda: {"type": ["object", "null"]},
    "metric": lambda: {
        "type": "string",
        "pattern": rf"^((validation\.)?({_metric_names(*DERIVED)})([ /].*)?|profile\.({'|'.join(PROFILED)}))$",
    },
}


def _search() -> Schema:
    """What may be searched, by dotted path."""
    space: Schema = {"anyOf": [{"const": "declared"}, _words(SEARCH)]}
    return {
        "type": ["object", "null"],
        "patternProperties": {r"^(method|model|recipe)(\.[A-Za-z0-9_]+)+$": space},
        "additionalProperties": False,
    }


def _claim() -> Schema:
    """Tested, or with the reason why not."""
    tested = ("metric", "compare", "expect")
    untested: Schema = {"required": ["not_tested"], "properties": dict.fromkeys(tested, False)}
    return {**_words(CLAIM, required=("id", "says")), "anyOf": [{"required": list(tested)}, untested]}


def _metric_names(*more: str) -> str:
    return "|".join((*registry.names("metrics"), *more))


def _attribute() -> Schema:
    """A part of a cell, a parameter, or a parameter of a plug-in inside a plug-in."""
    return {"anyOf": [{"enum": [*attribute_names(), "recipe"]}, {"type": "string", "pattern": r"^[a-z]+(\.[a-z0-9_]+){2,}$"}]}


def _operand() -> Schema:
    """A number, cells, or a combination of operands."""
    several = _one_or_more(_ref("operand"))
    trend = _words(TREND, required=("of", "along"))
    nearest = {"type": "object", "properties": {"of": _ref("operand"), "among": _ref("operand")}, "additionalProperties": False}
    two = {"type": "array", "items": _ref("operand"), "minItems": 2, "maxItems": 2}
    shapes = {"best": several, "worst": several, "difference": two, "ratio": two, "nearest": nearest}
    combinations = [
        {"type": "object", "properties": {word: shapes.get(word, trend)}, "required": [word], "additionalProperties": False}
        for word in COMBINATIONS
    ]
    return {"anyOf": [{"type": "number"}, *combinations, _ref("when")]}


def _when() -> Schema:
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {
            **dict.fromkeys(attribute_names(), _ref("condition")),
            **{axis: _name_condition(kind) for axis, kind in AXES.items()},
        },
        "patternProperties": {r"^[a-z]+(\.[a-z0-9_]+){2,}$": _ref("condition")},
        "additionalProperties": False,
    }


def _name_condition(kind: str) -> Schema:
    """What an attribute that holds a plug-in's name is compared with."""
    names = "|".join(registry.names(kind))
    return _one_or_more({"type": ["string", "null"], "pattern": rf"^((==|!=)\s*)?({names})$"})


def _axis(kind: str) -> Schema:
    """A plug-in of a kind, or a list of them."""
    classes = {name: registry.get(kind, name) for name in registry.names(kind)}
    bare = [name for name, cls in classes.items() if not _required(cls)]
    mapping: Schema = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: {"description": _first_line(cls), **_parameters(cls)} for name, cls in classes.items()},
    }
    return _one_or_more({"anyOf": [{"enum": bare}, mapping]})


def _parameters(cls: type) -> Schema:
    fields = _fields(cls)
    return fields if _required(cls) else {"anyOf": [fields, {"type": "null"}]}


def _fields(cls: type) -> Schema:
    items: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(cls)
    hints = typed.types_of(cls)
    required = _required(cls)
    return {
        "type": "object",
        "properties": {item.name: _field(item, hints[item.name]) for item in items},
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _field(item: dataclasses.Field[Any], hint: Any) -> Schema:
    described: Schema = {"description": item.metadata.get("doc", "")}
    if item.default is not dataclasses.MISSING:
        described["default"] = registry.plain(item.default)
    kind = registry.plugin_kind(hint)
    if kind is not None:
        return {**described, **(_one_or_more({"anyOf": [_ref(kind), {"type": "null"}]}) if typed.is_optional(hint) else _ref(kind))}
    bounds = {"low": "minimum", "high": "maximum", "above": "exclusiveMinimum"}
    base = {**TypeAdapter(hint).json_schema(), **{word: item.metadata[key] for key, word in bounds.items() if key in item.metadata}}
    if "choices" in item.metadata:
        base = {"enum": list(item.metadata["choices"])}
    return {**described, **_one_or_more(base)}


def _required(cls: type) -> list[str]:
    items: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(cls)
    return [item.name for item in items if item.default is dataclasses.MISSING]


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def main() -> None:
    """Write the schema to standard output."""
    sys.stdout.write(json.dumps(suite_schema(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
