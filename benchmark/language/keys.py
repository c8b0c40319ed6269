"""The words of the suite language, each with its meaning: what validation accepts and what the JSON Schema is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal[
    "name",
    "text",
    "seeds",
    "defaults",
    "grids",
    "excludes",
    "constraints",
    "recipe",
    "metrics",
    "method",
    "axis",
    "zip",
    "when",
    "switch",
    "claims",
    "references",
    "select",
    "operands",
    "operand",
    "relations",
    "share",
    "attributes",
    "attribute",
    "number",
    "scores",
    "metric",
    "search",
    "bounds",
    "values",
    "tuned",
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
    "share": Word("switch", "off: every method has trainings of its own instead of sharing equal ones; default: on"),
    "defaults": Word("defaults", "axes and recipe for the grids that do not state them"),
    "grid": Word("grids", "a product of axes, or a list of such grids: their union"),
    "include": Word("grids", "further grids, exempt from exclude and constraints"),
    "exclude": Word("excludes", "rules that leave cells out, each with its reason"),
    "constraints": Word("constraints", "rules that cells must meet, each with its reason"),
    "recipe": _AXIS_WORDS["recipe"],
    "metrics": Word("metrics", "the scores, the main one first; `recall.per_class` also shows a metric class by class"),
    "select": Word("select", "choose among runs that differ in some attributes, such as the learning rate, by a score"),
    "claims": Word("claims", "statements of a study as tests, each with a verdict in the report"),
    "references": Word("references", "published numbers, shown beside the measured ones"),
    "baseline": Word("method", "the method that paired differences are taken against; default: none"),
    "search": Word("search", "what `skewbench tune` may vary: dotted paths of method, model and recipe with ranges or choices"),
    "tuned_by": Word("tuned", "which studies chose the values here, as `skewbench tune --apply` writes it"),
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

SELECT = {
    "by": Word("scores", "validation.METRIC, or test.METRIC as some studies did (marked oracle); a list gives the choices side by side"),
    "over": Word("attributes", "the attributes that may differ, such as recipe.optimizer.lr; with seed the best single run counts"),
}

SEARCH = {
    "log": Word("bounds", "from low to high, evenly on a logarithmic scale"),
    "range": Word("bounds", "from low to high, evenly"),
    "step": Word("number", "the range in steps of this size"),
    "choice": Word("values", "one of these values; plug-ins as anywhere"),
    "declared": Word("switch", "true: the parameter's own declared range"),
    "when": Word("when", "searched only where this holds of the values chosen before"),
    "grid": Word("values", "the fixed set that a grid search takes instead"),
}

CLAIM = {
    "id": Word("text", "a short name"),
    "says": Word("text", "the statement in words"),
    "source": Word("text", "where the study says so"),
    "metric": Word("metric", "the score that is compared"),
    "where": Word("when", "the cells it is about; default: all"),
    "compare": Word("operands", "what is compared, by name; the first operand's cells are the conditions"),
    "expect": Word("relations", "a relation such as `a >= b - 0.002` or `a ~ b +- 0.01`, or several that must all hold"),
    "in": Word("share", "where it must hold: every condition (default), some, a share such as 80 %, or pooled: on average"),
    "pair": Word("attributes", "in what the sides agree, instead of everything that their selectors do not name"),
    "exact": Word("switch", "on: an identity that must hold in every pair, without statistics"),
    "not_tested": Word("text", "instead of a test: why there is none"),
}

REFERENCE = {
    "id": Word("text", "a short name"),
    "where": Word("when", "the cells that it is about"),
    "metric": Word("metric", "the score"),
    "value": Word("number", "the printed number; left out where the study shows it in a figure only"),
    "source": Word("text", "where it is printed"),
    "note": Word("text", "what a reader must know to compare"),
    "comparable": Word("switch", "off: data or recipe differ, so that levels must not be compared; default: on"),
}

TREND = {
    "of": Word("operand", "the cells or the combination"),
    "along": Word("attribute", "the attribute, a number, along which it runs"),
}

DEFAULT_METRICS = ("auc", "accuracy", "balanced_accuracy", "f1")
NAME_PATTERN = r"[a-z0-9][a-z0-9._-]*"
MAX_NAME = 100
