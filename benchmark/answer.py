"""The answer to a suite's question in three sentences with numbers: which method, by how much, resting on what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmark.records import MetricInfo, SuiteResults
from benchmark.summary import Coverage, Entry, Summary, shown_difference, shown_mean

_SPELLED_OUT = 3
"""Conditions that are named one by one in a sentence; more are counted."""


@dataclass(frozen=True)
class Winner:
    """The best method of one condition by the main metric."""

    condition: str
    row: str
    mean: str
    difference: str
    """To the baseline; empty where the best is the baseline or there is none."""
    clear: bool
    """True where the interval of the difference excludes 0."""
    size: float
    """The mean difference, larger is better; 0 for the baseline itself."""
    tied: tuple[str, ...]
    """Methods that cannot be told apart from the best."""


def winners(results: SuiteResults, summary: Summary) -> list[Winner]:
    """The best method of every condition in which anything was measured."""
    if not results.metrics:
        return []
    main = results.metrics[0]
    found = [summary.best(condition, main.name) for condition in summary.conditions]
    return [_winner(entry, main, summary) for entry in found if entry is not None]


def _winner(entry: Entry, main: MetricInfo, summary: Summary) -> Winner:
    score = entry.scores[main.name]
    others = summary.entries[entry.condition].values()
    difference = score.difference if score.difference is not None and score.difference.num else None
    return Winner(
        condition=entry.condition,
        row=entry.row,
        mean=shown_mean(score.mean),
        difference=shown_difference(difference) if difference else "",
        clear=difference is not None and difference.excludes_zero,
        size=difference.mean * (1 if main.higher_is_better else -1) if difference else 0.0,
        tied=tuple(other.row for other in others if other.scores[main.name].standing == "tied"),
    )


def answer(results: SuiteResults, summary: Summary) -> tuple[str, ...]:
    """Three sentences; fewer where nothing was measured or there is no baseline."""
    found = winners(results, summary)
    if not found:
        return (f"Nothing has been measured yet: {rests_on(summary.coverage)}.",)
    main = results.metrics[0]
    sentences = [_who(found, main), _by_how_much(found, summary)]
    return (*filter(None, sentences), f"This rests on {rests_on(summary.coverage)}.")


def rests_on(coverage: Coverage) -> str:
    """`17 of 20 planned cells (partial: 2 failed, 1 missing)`."""
    counts = {
        "failed": coverage.failed,
        "blocked": coverage.blocked,
        "not run yet": coverage.missing,
        "skipped by a rule": coverage.skipped,
    }
    rest = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    partial = "" if coverage.complete else "partial: "
    return f"{coverage.ok} of {coverage.planned} planned cells" + (f" ({partial}{rest})" if rest else "")


def _who(found: list[Winner], main: MetricInfo) -> str:
    highest = "highest" if main.higher_is_better else "lowest"
    if len(found) > _SPELLED_OUT:
        counts = Counter(winner.row for winner in found).most_common()
        return f"By mean {main.name}, the best of {len(found)} conditions is " + _listed([f"{row} in {num}" for row, num in counts]) + "."
    parts = [f"{winner.row} under {winner.condition} ({winner.mean}{_ties(winner)})" for winner in found]
    return f"The {highest} mean {main.name} has {_listed(parts)}."


def _ties(winner: Winner) -> str:
    return f"; not told apart from {_listed(list(winner.tied))}" if winner.tied else ""


def _by_how_much(found: list[Winner], summary: Summary) -> str:
    if summary.baseline is None:
        return ""
    ahead = [winner for winner in found if winner.difference]
    if all(winner.row == summary.baseline for winner in found):
        return f"No method is ahead of the baseline {summary.baseline}."
    if not ahead:
        return f"There is no paired difference to the baseline {summary.baseline} yet: no seed in common."
    clear = sum(winner.clear for winner in ahead)
    if len(found) > _SPELLED_OUT:
        ordered = sorted(ahead, key=lambda winner: winner.size)
        low, high = ordered[0], ordered[-1]
        span = f"from {low.difference} ({low.row}, {low.condition}) to {high.difference} ({high.row}, {high.condition})"
        tail = f"its 95 % interval excluding 0 in {clear} of {len(found)}"
        return f"The paired difference of the best to {summary.baseline} goes {span}, {tail}."
    parts = [f"{winner.difference} under {winner.condition}" for winner in ahead]
    verdict = "all of the 95 % intervals exclude 0" if clear == len(ahead) else f"the 95 % interval excludes 0 in {clear} of {len(ahead)}"
    return f"Paired by seed against {summary.baseline} that is {_listed(parts)}; {verdict}."


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
