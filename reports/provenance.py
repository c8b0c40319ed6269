"""What is needed to trust the numbers and to repeat them: commands, data, machine, versions, code."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmark.records import CellResult
from reports.section import Block, Fact, Facts, Fold, Heading, Report, Section, Text


def part(report: Report) -> Section | None:
    """Commands to repeat, data fingerprints, contexts, code keys."""
    if not report.measured:
        return None
    done = [cell for cell in report.results.cells if cell.status == "ok"]
    blocks: list[Block] = []
    if report.results.command:
        blocks.append(Text("To repeat: ", code=report.results.command))
        blocks.append(Text("The report of what is done so far: ", code=report.results.command.replace("skewbench run", "skewbench report")))
    fingerprints, context, code = (
        _facts(_counted(done, _fingerprints, key=lambda cell: cell.config_key)),
        _facts(_counted(done, lambda cell: flat(cell.context), key=lambda cell: repr(cell.context))),
        _facts(_counted(done, lambda cell: dict(cell.code), key=lambda cell: repr(cell.code))),
    )
    blocks += [Heading("Data fingerprints"), Facts(fingerprints)] if fingerprints else []
    blocks += [Heading("Where it was computed"), Facts(context)] if context else []
    if any(fact.several for fact in context):
        text = "Where a line has several values the cells were computed under different conditions: compare times only within one."
        blocks.append(Text(text, kind="note"))
    blocks += [Fold(f"Code keys of {len(code)} components", [Facts(code)])] if code else []
    return Section("provenance", "Provenance", blocks)


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


def _counted(
    cells: Sequence[CellResult], told: Callable[[CellResult], Mapping[str, str]], *, key: Callable[[CellResult], str]
) -> list[tuple[Mapping[str, str], int]]:
    """What cells tell, and of how many it is: those with the same key tell the same, and are asked once."""
    first: dict[str, CellResult] = {}
    counts: Counter[str] = Counter()
    for cell in cells:
        first.setdefault(own := key(cell), cell)
        counts[own] += 1
    return [(told(cell), counts[own]) for own, cell in first.items()]


def _facts(found: Iterable[tuple[Mapping[str, str], int]]) -> list[Fact]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for item, number in found:
        for key, value in item.items():
            counts[key][value] += number
    return [
        Fact(key, tuple(values) if len(values) == 1 else tuple(f"{value} ({num} cells)" for value, num in values.items()))
        for key, values in counts.items()
    ]


def when(cells: Sequence[CellResult]) -> str:
    """The span in which the finished cells were computed, from their own clocks: no date of writing, so that pages compare."""
    done = [cell for cell in cells if cell.status == "ok"]
    started, ended = [cell.started for cell in done if cell.started], [cell.ended for cell in done if cell.ended]
    if not started or not ended:
        return ""
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (min(started), max(ended)))
    return f"{first} to {last} UTC"
