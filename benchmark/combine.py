"""Results of several suites, or of one suite from several stores, as one: so that they are compared and ranked together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from benchmark.errors import UserError
from benchmark.identity import canonical, digest
from benchmark.records import CellResult, SuiteResults
from benchmark.selection import chosen

SUITE = "suite"
"""The attribute that tells the suites of a joint report apart."""
_ORDER = ("ok", "failed", "blocked", "skipped", "missing")
"""Which of two results of one cell counts: the first of these, then the later one."""


def combined(found: Sequence[SuiteResults]) -> SuiteResults:
    """One set of results. UserError where suites have no metric in common."""
    by_name: dict[str, list[SuiteResults]] = {}
    for results in found:
        by_name.setdefault(results.name, []).append(results)
    suites = [_one_suite(group) for group in by_name.values()]
    return suites[0] if len(suites) == 1 else _joint(suites)


def _one_suite(found: Sequence[SuiteResults]) -> SuiteResults:
    """The cells of one suite from several stores, in plan order. Claims are those of the most complete store."""
    if len(found) == 1:
        return found[0]
    cells: dict[tuple[str, int], CellResult] = {}
    for results in found:
        for cell in results.cells:
            place = (cell.config_key, cell.seed)
            cells[place] = _better(cells[place], cell) if place in cells else cell
    most = max(found, key=lambda results: sum(cell.status == "ok" for cell in results.cells))
    return dataclasses.replace(most, cells=tuple(cells.values()), account={})


def _better(first: CellResult, second: CellResult) -> CellResult:
    ahead = _ORDER.index(second.status) < _ORDER.index(first.status) or (second.status == first.status and second.ended > first.ended)
    kept, other = (second, first) if ahead else (first, second)
    return dataclasses.replace(kept, solo=kept.solo or other.solo)


def _joint(suites: Sequence[SuiteResults]) -> SuiteResults:
    """Cells of several suites; the suite becomes a part of the condition, metrics are those that all have."""
    common = [info for info in suites[0].metrics if all(info.name in {other.name for other in each.metrics} for each in suites)]
    if not common:
        listed = "; ".join(f"{each.name}: {', '.join(info.name for info in each.metrics)}" for each in suites)
        raise UserError(f"these suites have no metric in common ({listed}): report them one by one.")
    shown = set.intersection(*(set(each.show_per_class) for each in suites))
    return SuiteResults(
        name="+".join(each.name for each in suites),
        question=" / ".join(dict.fromkeys(each.question or each.name for each in suites)),
        cells=tuple(_marked(cell, each.name) for each in suites for cell in chosen(each).cells),
        metrics=tuple(common),
        show_per_class=tuple(name for name in suites[0].show_per_class if name in shown),
        baseline=suites[0].baseline,
        suite_text="\n---\n".join(each.suite_text for each in suites),
        command=" && ".join(each.command for each in suites if each.command),
        claims=tuple(dataclasses.replace(claim, id=f"{each.name}: {claim.id}") for each in suites for claim in each.claims),
        references=tuple(dataclasses.replace(ref, id=f"{each.name}: {ref.id}") for each in suites for ref in each.references),
    )


def _marked(cell: CellResult, suite: str) -> CellResult:
    attributes: Mapping[str, str | int | float | bool | None] = {SUITE: suite, **cell.attributes}
    return dataclasses.replace(cell, attributes=attributes, config_key=digest(canonical([suite, cell.config_key])))
