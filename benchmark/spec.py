"""A suite, from its file to typed parts: every key known, every value located, parents and command-line settings applied."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark import registry
from benchmark.claims import Claim
from benchmark.errors import InvalidValue, folded, shown
from benchmark.evidence import Selection
from benchmark.language.choices import Builder, Choice, plugin_choice, plugin_names, recipe_choice
from benchmark.language.claims import claims_of, references_of, select_of
from benchmark.language.document import display, parse, read_file
from benchmark.language.keys import AXES, DEFAULT_METRICS, DEFAULTS, GRID, MAX_NAME, NAME_PATTERN, TOP
from benchmark.language.located import Node, Place, SuiteError, failure, located
from benchmark.language.parents import extended, find, shipped
from benchmark.language.rules import Rule, rules_of
from benchmark.language.search import check_search, search_of, tuned_by_of
from benchmark.language.settings import Setting, over, parse_setting, put, reject, zip_rows
from benchmark.language.words import check_words, seeds_of, switch_of, text_of
from benchmark.metrics import Metric
from benchmark.references import Reference
from benchmark.search import Dimension, Doc

MAX_ZIP_ROWS = 10_000
MAX_ZIP_VALUES = 1_000_000
"""Rows of zips times values of the grid that each row writes out again."""
MAX_CHECKED = 200_000
"""Cells up to which every alternative is built, and so checked, when the suite is read; above it when the suite is expanded."""
_TOP_SETTINGS = ("question", "metrics", "baseline", "share", "select")

__all__ = ["Grid", "Suite", "SuiteError", "read_suite", "shipped"]


@dataclass(frozen=True)
class Grid:
    """A product of axes, its zip written out and the command line's settings applied."""

    axes: Mapping[str, Choice]
    """Dataset, imbalance, method and model, in this order."""
    recipe: Choice
    seeds: Sequence[int]
    exempt: bool
    """From exclude and constraints: a grid of `include`."""

    @property
    def size(self) -> int:
        return math.prod(choice.size for choice in (*self.axes.values(), self.recipe)) * len(self.seeds)


@dataclass(frozen=True)
class Suite:
    """A suite as read and checked. `benchmark.grid.expand` turns it into cells."""

    name: str
    question: str
    path: Path | None
    text: str
    """The file as read."""
    metrics: tuple[Metric, ...]
    show_per_class: tuple[str, ...]
    baseline: str
    share: bool
    """Whether methods share equal trainings."""
    grids: tuple[Grid, ...]
    rules: tuple[Rule, ...]
    select: Selection | None = None
    claims: tuple[Claim, ...] = ()
    references: tuple[Reference, ...] = ()
    search: tuple[Dimension, ...] = ()
    """What `skewbench tune` may vary."""
    tuned_by: Any = None
    """Where the values come from, as `tune --apply` wrote it."""
    settings: tuple[str, ...] = ()
    """What the command line changed: `recipe.iterations=500`, `seeds=2`."""
    builder: Builder = field(default_factory=Builder, repr=False, compare=False)


def read_suite(name_or_path: str, *, overrides: Sequence[str] = (), seeds: int | None = None) -> Suite:
    """Read a shipped suite by name or any suite by path; UserError with file and line for whatever is wrong with it."""
    given = [*overrides, *([f"seeds={seeds}"] if seeds is not None else [])]
    path = find(name_or_path)
    text = read_file(path)
    root = extended(parse(text, source=display(path)), path)
    return _suite(root, path, text, given)


def _suite(root: Node, path: Path, text: str, given: Sequence[str]) -> Suite:
    check_words(root, TOP, what="key", required=("suite", "grid"))
    settings = [parse_setting(item) for item in given]
    for setting in settings:
        root = root.having(setting.path, setting.node) if setting.path in _TOP_SETTINGS else root
    builder = Builder()
    metrics, per_class = _metrics(root.items.get("metrics"), builder)
    grids = _grids(root, [item for item in settings if item.path not in _TOP_SETTINGS], builder)
    return Suite(
        name=_name(root.items["suite"]),
        question=text_of(root.items.get("question")),
        path=path,
        text=text,
        metrics=metrics,
        show_per_class=per_class,
        baseline=_baseline(root.items.get("baseline"), grids, replaced=any(item.path == "method" for item in settings)),
        share=switch_of(root.items.get("share"), default=True),
        grids=grids,
        rules=(*rules_of(root.items.get("exclude"), "exclude"), *rules_of(root.items.get("constraints"), "constraint")),
        select=select_of(root.items.get("select")),
        claims=claims_of(root.items.get("claims")),
        references=references_of(root.items.get("references")),
        search=_search(root.items.get("search"), grids, builder),
        tuned_by=tuned_by_of(root.items.get("tuned_by")),
        settings=tuple(given),
        builder=builder,
    )


def _name(node: Node) -> str:
    if not isinstance(node.value, str) or not re.fullmatch(NAME_PATTERN, node.value) or len(node.value) > MAX_NAME:
        raise failure(
            node,
            f"expected a name of small letters, digits, '.', '_' and '-' that starts with a letter or digit, at most {MAX_NAME} long, "
            f"found {shown(node.plain)}.",
        )
    return node.value


def _baseline(node: Node | None, grids: Sequence[Grid], *, replaced: bool) -> str:
    """The baseline; one that is stated must be a method of a grid, unless the command line has replaced the methods."""
    if node is None:
        return "none"
    if not isinstance(node.value, str):
        raise failure(node, f"expected a method's name, found {shown(node.plain)}.")
    try:
        registry.get("methods", node.value)
    except InvalidValue as error:
        raise located(error, node) from None
    found = dict.fromkeys(name for grid in grids for name in plugin_names(grid.axes["method"]))
    if node.value not in found and not replaced:
        raise failure(node, f"'{node.value}' is no method of this suite's grids: name one of {', '.join(found)}, or add it to a grid.")
    return node.value


def _search(node: Node | None, grids: Sequence[Grid], builder: Builder) -> tuple[Dimension, ...]:
    """The search space, checked against every method, model and recipe that it may be about."""
    found = search_of(node)
    if node is None or not found or sum(grid.size for grid in grids) > MAX_CHECKED:
        return found
    docs = [doc for grid in grids for doc in _docs(grid, builder)]
    check_search(node, found, docs)
    return found


def _docs(grid: Grid, builder: Builder) -> list[Doc]:
    """Each method, model and recipe of a grid at least once, with the first of the others."""
    found = {axis: [item.doc for item in builder.plugins(AXES[axis], grid.axes[axis])] for axis in ("method", "model")}
    found["recipe"] = [item.doc for item in builder.recipes(grid.recipe)]
    first = {part: docs[0] for part, docs in found.items()}
    return [{**first, part: doc} for part, docs in found.items() for doc in docs]


def _metrics(node: Node | None, builder: Builder) -> tuple[tuple[Metric, ...], tuple[str, ...]]:
    """The metrics in order, and the names of those to show class by class."""
    found: dict[str, Metric] = {}
    per_class: dict[str, None] = {}
    entries = [Node(name, Place("default metrics")) for name in DEFAULT_METRICS] if node is None else node.entries
    if not entries:
        raise failure(node or entries[0], "an empty list: expected at least one metric.")
    for entry in entries:
        if isinstance(entry.value, str) and entry.value.endswith(".per_class"):
            entry = replace(entry, value=entry.value.removesuffix(".per_class"))
            per_class[str(entry.value)] = None
        elif isinstance(entry.value, str) and folded(entry.value).endswith(".perclass"):
            meant = f"{entry.value.rpartition('.')[0]}.per_class"
            raise failure(entry, f"unknown metric '{entry.value}'. Did you mean '{meant}'?")
        for metric in builder.plugins("metrics", plugin_choice("metrics", entry)):
            assert isinstance(metric, Metric), metric
            found[metric.text] = metric
    return tuple(found.values()), tuple(per_class)


def _grids(root: Node, settings: Sequence[Setting], builder: Builder) -> tuple[Grid, ...]:
    defaults = _defaults(root)
    nodes: list[tuple[Node, bool]] = []
    for key, exempt in (("grid", False), ("include", True)):
        for node in root.items[key].entries if key in root.items else ():
            check_words(node, GRID, what="key of a grid:")
            nodes += [(row, exempt) for row in _written_out(node, defaults)]
    if not nodes:
        raise failure(root.items["grid"], "an empty list: expected at least one grid.")
    for setting in settings:
        nodes = _with_setting(nodes, setting)
    grids = tuple(_grid(node, exempt) for node, exempt in nodes)
    if sum(grid.size for grid in grids) <= MAX_CHECKED:
        for grid in grids:
            _check(grid, builder)
    return grids


def _defaults(root: Node) -> Node:
    """What a grid has where it states nothing: `seeds` and `recipe` of the suite, over those of `defaults`."""
    node = root.items.get("defaults") or Node({}, root.place)
    check_words(node, DEFAULTS, what="key of defaults:")
    recipe = over(node.items.get("recipe"), root.items.get("recipe"))
    node = node if recipe is None else node.having("recipe", recipe)
    return node if "seeds" in node.items or "seeds" not in root.items else node.having("seeds", root.items["seeds"])


def _written_out(node: Node, defaults: Node) -> list[Node]:
    """A grid with the defaults filled in, once for each row of its zips."""
    zips = [(item, zip_rows(item)) for item in node.items["zip"].entries] if "zip" in node.items else []
    _limit_zips(node, math.prod(len(rows) for _, rows in zips))
    for item, _ in zips:
        for key in item.items:
            if key in node.items:
                raise failure(item, f"'{key}' stands in the grid and in its zip: keep one.", key=key)
    base = Node({**defaults.items, **node.items}, node.place, node.path, {**defaults.keys, **node.keys}).without("zip")
    recipe = over(defaults.items.get("recipe"), node.items.get("recipe"))
    base = base if recipe is None else base.having("recipe", recipe)
    return [_row(base, [setting for row in rows for setting in row]) for rows in itertools.product(*(rows for _, rows in zips))]


def _limit_zips(node: Node, num_rows: int) -> None:
    if num_rows > MAX_ZIP_ROWS or (num_rows > 1 and num_rows * node.num_values > MAX_ZIP_VALUES):
        raise failure(
            node.items["zip"], f"{num_rows:,} rows in the product of zips are too many for a grid of this size: use axes instead."
        )


def _row(base: Node, settings: Sequence[Setting]) -> Node:
    for setting in sorted(settings, key=lambda item: "." in item.path):  # whole axes first, then their parameters
        base = _put(base, setting, [base])
    return base


def _put(grid: Node, setting: Setting, grids: Sequence[Node]) -> Node:
    try:
        changed = put(grid, setting)
        if changed is None:
            raise reject(setting, grids)
    except InvalidValue as error:
        raise failure(setting.node, error.problem) from None
    return changed


def _with_setting(nodes: Sequence[tuple[Node, bool]], setting: Setting) -> list[tuple[Node, bool]]:
    """A command-line setting on every grid that has the parameter; an error if none has."""
    try:
        changed = [put(node, setting) for node, _ in nodes]
    except InvalidValue as error:
        raise failure(setting.node, error.problem) from None
    if all(node is None for node in changed):
        raise failure(setting.node, reject(setting, [node for node, _ in nodes]).problem)
    return [(new if new is not None else old, exempt) for new, (old, exempt) in zip(changed, nodes, strict=True)]


def _grid(node: Node, exempt: bool) -> Grid:
    axes: dict[str, Choice] = {}
    for axis, kind in AXES.items():
        given = node.items.get(axis)
        if given is None and axis in ("imbalance", "method"):
            given = Node("none", node.place, node.path)
        if given is None:
            names = ", ".join(registry.names(kind))
            raise failure(node, f"no {axis}: state `{axis}:` in the grid or under `defaults`. Known: {names}.")
        axes[axis] = plugin_choice(kind, given)
    recipe = node.items.get("recipe") or Node({}, node.place, node.path)
    if not isinstance(recipe.value, dict):
        raise failure(recipe, f"expected a mapping such as `{{iterations: 1000, batch: 64}}`, found {shown(recipe.plain)}.")
    return Grid(axes, recipe_choice(recipe), seeds_of(node.items.get("seeds")), exempt)


def _check(grid: Grid, builder: Builder) -> None:
    """Build every alternative of every axis, so that a mistake is found when the suite is read."""
    for axis, choice in grid.axes.items():
        builder.plugins(AXES[axis], choice)
    builder.recipes(grid.recipe)
