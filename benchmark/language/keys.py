"""The words of the suite language, each with its meaning: what validation accepts and what the JSON Schema is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal[
    "name", "text", "seeds", "defaults", "grids", "excludes", "constraints", "recipe", "metrics", "method", "axis", "zip", "when"
]


@dataclass(frozen=True)
class Word:
    """A key of the language: the shape of its value and one line of explanation."""

    shape: Shape
    doc: str


AXES = {"dataset": "datasets", "imbalance": "imbalances", "method": "methods", "model": "models"}
"""The axes of a grid that hold plug-ins, with their kinds."""

_AXIS_WORDS = {
    "dataset": Word("axis", "the data set, or a list of them"),
    "imbalance": Word("axis", "how training images are taken away, or a list of ways; default: none"),
    "method": Word("axis", "how class imbalance is handled, or a list of methods; default: none"),
    "model": Word("axis", "the network, or a list of networks"),
    "recipe": Word("recipe", "how every cell is trained; any value may be a list: then it is an axis"),
    "seeds": Word("seeds", "how many seeds (0, 1, …), or a list of seeds; default: 1"),
}

GRID = {**_AXIS_WORDS, "zip": Word("zip", "axes or dotted paths with lists of one length that vary together, not as a product")}

TOP = {
    "suite": Word("name", "the suite's name: small letters, digits, '.', '_' and '-'"),
    "question": Word("text", "the question that the suite answers"),
    "extends": Word("name", "a shipped suite or a file in the same folder whose keys this one replaces"),
    "seeds": _AXIS_WORDS["seeds"],
    "defaults": Word("defaults", "axes and recipe for the grids that do not state them"),
    "grid": Word("grids", "a product of axes, or a list of such grids: their union"),
    "include": Word("grids", "further grids, exempt from exclude and constraints"),
    "exclude": Word("excludes", "rules that leave cells out, each with its reason"),
    "constraints": Word("constraints", "rules that cells must meet, each with its reason"),
    "recipe": _AXIS_WORDS["recipe"],
    "metrics": Word("metrics", "the scores, the main one first; `recall.per_class` also shows a metric class by class"),
    "baseline": Word("method", "the method that paired differences are taken against; default: none"),
}

DEFAULTS = _AXIS_WORDS

EXCLUDE = {
    "when": Word("when", "conditions on a cell's attributes, all of which must hold"),
    "because": Word("text", "the reason, shown in the plan and the report"),
}

CONSTRAINT = {
    "when": Word("when", "which cells the rule is about; default: all"),
    "require": Word("when", "what must hold for them"),
    "because": EXCLUDE["because"],
}

DEFAULT_METRICS = ("auc", "accuracy", "balanced_accuracy", "f1")
NAME_PATTERN = r"[a-z0-9][a-z0-9._-]*"
MAX_NAME = 100
