"""The page: what stands on it, in the order a reader needs, rendered with every text escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmark.answer import Winner, answer, rests_on, winners
from benchmark.labels import label
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import Summary
from reports.drawing import Drawing
from reports.table import Table

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 500
"""Longest table on the page; the files hold all of it."""
MAX_FAILURES = 200


@dataclass(frozen=True)
class Failure:
    """A cell that failed or was blocked, with what a person needs to find out why."""

    name: str
    key: str
    status: str
    reason: str
    log_tail: str


@dataclass(frozen=True)
class Fact:
    """A line of provenance: one value, or several with how many cells each is of."""

    name: str
    values: tuple[str, ...]

    @property
    def several(self) -> bool:
        return len(self.values) > 1


@dataclass(frozen=True)
class Page:
    """Everything that the template reads."""

    results: SuiteResults
    summary: Summary
    answer: tuple[str, ...]
    winners: Sequence[Winner]
    rests_on: str
    tables: Mapping[str, Table]
    figures: Mapping[str, Drawing]
    failures: Sequence[Failure]
    num_failures: int
    context: Sequence[Fact]
    fingerprints: Sequence[Fact]
    code: Sequence[Fact]
    when: str
    max_rows: int = MAX_ROWS


def render(results: SuiteResults, summary: Summary, *, tables: Mapping[str, Table], drawings: Sequence[Drawing]) -> str:
    """The whole page as HTML; styles and script are part of it, figures are beside it in `figures/`."""
    failures = _failures(results)
    done = [cell for cell in results.cells if cell.status == "ok"]
    page = Page(
        results=results,
        summary=summary,
        answer=answer(results, summary),
        winners=winners(results, summary),
        rests_on=rests_on(summary.coverage),
        tables=tables,
        figures={drawing.name: drawing for drawing in drawings},
        failures=failures[:MAX_FAILURES],
        num_failures=len(failures),
        context=_facts(flat(cell.context) for cell in done),
        fingerprints=_facts(_fingerprints(cell) for cell in done),
        code=_facts(dict(cell.code) for cell in done),
        when=_when(done),
    )
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(page=page)


def _failures(results: SuiteResults) -> list[Failure]:
    labels = label(results.cells)
    return [
        Failure(
            name=f"{labels.row[cell.config_key]} under {labels.condition[cell.config_key]}, seed {cell.seed}",
            key=cell.key,
            status=cell.status,
            reason=cell.reason or "no reason given",
            log_tail=cell.log_tail,
        )
        for cell in results.cells
        if cell.status in ("failed", "blocked")
    ]


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys and texts of a JSON document."""
    found: dict[str, str] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return found


def _fingerprints(cell: CellResult) -> dict[str, str]:
    """The digests of the data that a cell rests on, wherever in its resolved form they stand."""
    dataset = cell.attributes.get("dataset", "data")
    found = [value for key, value in flat(cell.resolved).items() if key.rpartition(".")[2] == "fingerprint"]
    return {str(dataset): ", ".join(dict.fromkeys(found))} if found else {}


def _facts(found: Iterable[Mapping[str, str]]) -> list[Fact]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item in found:
        for key, value in item.items():
            counts[key][value] += 1
    return [
        Fact(key, tuple(values) if len(values) == 1 else tuple(f"{value} ({num} cells)" for value, num in values.items()))
        for key, values in counts.items()
    ]


def _when(cells: Sequence[CellResult]) -> str:
    """The span in which the cells were computed, from their own clocks: no date of writing, so that pages compare."""
    started = [cell.started for cell in cells if cell.started]
    ended = [cell.ended for cell in cells if cell.ended]
    if not started or not ended:
        return ""
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (min(started), max(ended)))
    return f"{first} to {last} UTC"
