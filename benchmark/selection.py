"""Choosing among runs that differ in what a study tuned (a learning rate, a repeat), by a score of the validation or of the test part.

Choosing on the test part makes the result an *oracle*: it is marked so wherever it stands.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

from benchmark.evidence import Selection
from benchmark.identity import canonical, digest
from benchmark.labels import SELECTION
from benchmark.records import CellResult, MetricInfo, SuiteResults

ORACLE = "oracle"
Group = tuple[tuple[str, object], ...]


def chosen(results: SuiteResults) -> SuiteResults:
    """The results with the chosen cells only, once for each rule; unchanged where nothing is selected. Doing it twice is doing it once."""
    select = results.select
    if select is None:
        return results
    cells = tuple(chain.from_iterable(_by(select, rule, results.cells, results.metrics) for rule in select.by))
    return dataclasses.replace(results, cells=cells, select=None)


def words(rule: str) -> str:
    """`best on test (oracle)`, `best on validation`"""
    part = rule.partition(".")[0]
    return f"best on {part}" + (f" ({ORACLE})" if part == "test" else "")


def told(results: SuiteResults) -> str:
    """What was chosen and how, in words; how often the test part was read for it. Empty where nothing is selected."""
    select = results.select
    if select is None:
        return ""
    rules = " and, beside it, ".join(f"{words(rule)} by {rule.partition('.')[2]}" for rule in select.by)
    looked = sum(cell.status == "ok" for cell in results.cells)
    oracle = any(rule.startswith("test.") for rule in select.by)
    reads = f" The test part was read {looked} times to choose: an {ORACLE} knows what nobody knows before." if oracle else ""
    claims = " Claims and references go by the first." if len(select.by) > 1 else ""
    return f"Of the runs that differ in {', '.join(select.over)} one counts: {rules}.{claims}{reads}"


def _by(select: Selection, rule: str, cells: Sequence[CellResult], metrics: Sequence[MetricInfo]) -> list[CellResult]:
    part, _, name = rule.partition(".")
    higher = {info.name: info.higher_is_better for info in metrics}
    sign = 1 if higher.get(name, True) else -1
    groups: dict[Group, dict[object, list[CellResult]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        candidate = (cell.config_key, cell.seed if "seed" in select.over else None)
        groups[_group(cell, select)][candidate].append(cell)
    metric = name if part == "test" else f"validation.{name}"
    return [_as_chosen(cell, select, rule) for candidates in groups.values() for cell in _best(list(candidates.values()), metric, sign)]


def _group(cell: CellResult, select: Selection) -> Group:
    return tuple((key, value) for key, value in cell.attributes.items() if key not in select.over)


def _best(candidates: Sequence[list[CellResult]], metric: str, sign: int) -> list[CellResult]:
    """The candidate with the best mean score; the first one where none has a score."""

    def score(cells: list[CellResult]) -> float:
        found = [cell.metrics.get(metric, math.nan) for cell in cells if cell.status == "ok"]
        finite = [value for value in found if math.isfinite(value)]
        return sign * statistics.fmean(finite) if finite else -math.inf

    return max(candidates, key=score)


def _as_chosen(cell: CellResult, select: Selection, rule: str) -> CellResult:
    kept = {key: value for key, value in cell.attributes.items() if key not in select.over}
    attributes = {**kept, SELECTION: words(rule)}
    return dataclasses.replace(cell, attributes=attributes, config_key=digest(canonical(attributes)))
