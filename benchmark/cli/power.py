"""`plan --power`: what a suite can detect, before it is run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmark.power import LADDER, POWER, Detectable, detectable, deviations, exact_words
from benchmark.records import SuiteResults
from benchmark.summary import Summary, summarize

MAX_METHODS = 12


def power_lines(results: SuiteResults) -> list[str]:
    """Sentences for the terminal: the smallest difference that the planned seeds detect, and what more seeds would."""
    if not results.metrics:
        return ["Power: the suite has no metric."]
    summary, metric = summarize(results), results.metrics[0].name
    seeds = planned_seeds(results)
    head = f"Power: what {seeds} seeds detect in one condition, with probability {POWER:.0%}, by a two-sided paired t test at 5 %"
    if summary.baseline is None:
        return [f"{head}: no baseline '{results.baseline}' to compare with."]
    found = deviations(summary, metric)
    if not found:
        return [*_without_deviations(head, seeds, summary, metric), exact_words(seeds)]
    lines = [f"{head}, in {metric} against {summary.baseline}, from the deviations of the paired differences so far:"]
    lines += [_line(each, seeds) for each in found[:MAX_METHODS]]
    lines += [f"  … and {len(found) - MAX_METHODS} more"] if len(found) > MAX_METHODS else []
    middle = statistics.median(each.sd for each in found)
    more = [number for number in LADDER if number > seeds][:3]
    if more:
        steps = ", ".join(f"{number} seeds {middle * detectable(number):.2g}" for number in more)
        lines.append(f"  With more seeds (median method): {steps}.")
    return [*lines, exact_words(seeds)]


def planned_seeds(results: SuiteResults) -> int:
    """Seeds of the plan."""
    return len({cell.seed for cell in results.cells if cell.status != "skipped"})


def _line(each: Detectable, seeds: int) -> str:
    rests = f"{each.pairs} pairs in {each.conditions} condition{'s' if each.conditions > 1 else ''}"
    return f"  {each.row}: ≥ {each.smallest(seeds):.2g} (deviation {each.sd:.2g}, {rests})"


def _without_deviations(head: str, seeds: int, summary: Summary, metric: str) -> Sequence[str]:
    if seeds < 2:
        return [f"{head}: nothing; one seed shows no spread."]
    text = f"differences of {detectable(seeds):.2f} deviations of the pairs. How large a deviation is in {metric} is not known yet"
    return [f"{head}: {text}: run two seeds of {summary.baseline} and another method (`skewbench run SUITE --seeds 2`), and ask again."]


def power_document(results: SuiteResults) -> dict[str, object]:
    """The same for scripts."""
    summary = summarize(results)
    metric = results.metrics[0].name if results.metrics else ""
    seeds = planned_seeds(results)
    found = deviations(summary, metric) if metric and summary.baseline is not None else []
    rows = [
        {"method": e.row, "deviation": e.sd, "pairs": e.pairs, "conditions": e.conditions, "smallest": e.smallest(seeds)} for e in found
    ]
    ladder = {number: detectable(number) for number in LADDER}
    return {"metric": metric, "baseline": summary.baseline, "seeds": seeds, "methods": rows, "in_deviations": ladder}
