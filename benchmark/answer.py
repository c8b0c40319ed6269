"""The answer to a suite's question in three sentences with numbers: which method, by how much, resting on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.records import MetricInfo, SuiteResults
from benchmark.summary import Coverage, Entry, Summary, shown_difference, shown_mean

_SPELLED_OUT = 3
"""Conditions that are named one by one in a sentence; more are counted."""


@dataclass(frozen=True)
class Winner:
    """The best method of one condition by the main metric; several where they tie exactly."""

    condition: str
    rows: tuple[str, ...]
    mean: str
    difference: str
    """To the baseline; empty where the best is the baseline or there is none."""
    clear: bool
    """True where the interval of the difference excludes 0."""
    size: float
    """The mean difference, larger is better; 0 for the baseline itself."""
    tied: tuple[str, ...]
    """Methods that cannot be told apart from the best."""

    @property
    def name(self) -> str:
        """`ros`, or `ros and thresholding(ros)` where they tie exactly."""
        return _listed(self.rows)


def winners(results: SuiteResults, summary: Summary) -> list[Winner]:
    """The best method of every condition in which anything was measured."""
    if not results.metrics:
        return []
    main = results.metrics[0]
    found = [summary.best(condition, main.name) for condition in summary.conditions]
    return [_winner(entries, main, summary) for entries in found if entries]


def _winner(best: Sequence[Entry], main: MetricInfo, summary: Summary) -> Winner:
    rows = tuple(entry.row for entry in best)
    score = best[0].scores[main.name]
    others = summary.entries[best[0].condition].values()
    change = score.difference if summary.baseline not in rows else None
    difference = change if change is not None and change.num else None
    return Winner(
        condition=best[0].condition,
        rows=rows,
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
        return (_nothing(summary.coverage),)
    main = results.metrics[0]
    sentences = [_who(found, main), _by_how_much(found, summary)]
    ground = f"This rests on {rests_on(summary.coverage)}."
    return (*filter(None, sentences), " ".join(filter(None, (_at_what_cost(found, summary), ground))))


def _nothing(coverage: Coverage) -> str:
    if coverage.ok:
        return f"No metric was measured: {rests_on(coverage)}."
    if coverage.planned == coverage.missing + coverage.skipped:
        return "Nothing of this selection has run yet."
    return f"Nothing of this selection has finished: {rests_on(coverage)}."


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


def _who(found: Sequence[Winner], main: MetricInfo) -> str:
    if len(found) > _SPELLED_OUT:
        counts = Counter(row for winner in found for row in winner.rows).most_common()
        best = _listed([f"{row} in {num}" for row, num in counts])
        note = " (exact ties count for each)" if any(len(winner.rows) > 1 for winner in found) else ""
        return f"By mean {main.name}, the best of {len(found)} conditions is {best}{note}."
    parts: list[str] = []
    for place, winner in enumerate(found):
        who = winner.name if place == 0 or winner.rows != found[place - 1].rows else ""
        verb = "" if place else f"{'has' if len(winner.rows) == 1 else 'have'} the {_extreme(main)} mean {main.name}"
        parts.append(" ".join(filter(None, (who, verb, f"under {winner.condition} ({winner.mean}{_ties(winner)})"))))
    return f"{_listed(parts)}."


def _extreme(main: MetricInfo) -> str:
    return "highest" if main.higher_is_better else "lowest"


def _ties(winner: Winner) -> str:
    return f"; not told apart from {_listed(winner.tied)}" if winner.tied else ""


def _by_how_much(found: Sequence[Winner], summary: Summary) -> str:
    if summary.baseline is None:
        return ""
    ahead = [winner for winner in found if winner.difference]
    if not any(entry.coverage.ok for entry in summary.all_entries() if entry.row != summary.baseline):
        return f"Only the baseline {summary.baseline} has finished, so there is nothing to compare it with."
    if all(summary.baseline in winner.rows for winner in found):
        return f"No method is ahead of the baseline {summary.baseline}."
    if not ahead:
        return f"There is no paired difference to the baseline {summary.baseline} yet: no seed in common."
    if len(found) > _SPELLED_OUT:
        ordered = sorted(ahead, key=lambda winner: winner.size)
        low, high = ordered[0], ordered[-1]
        span = f"from {low.difference} ({low.name}, {low.condition}) to {high.difference} ({high.name}, {high.condition})"
        return f"The paired difference of the best to {summary.baseline} goes {span}; {_verdict(ahead, len(found))}."
    parts = [f"{winner.difference} under {winner.condition}" for winner in ahead]
    return f"Paired by seed against {summary.baseline} that is {_listed(parts)}; {_verdict(ahead, len(ahead))}."


def _at_what_cost(found: Sequence[Winner], summary: Summary) -> str:
    """Training seconds of the best against the baseline's, where both were measured alone on a machine left alone."""
    shares = []
    if not any(winner.difference for winner in found):
        return ""  # nothing is compared with the baseline
    for winner in found:
        best, base = (_seconds(summary, winner.condition, row) for row in (winner.rows[0], summary.baseline or ""))
        if best and base and winner.difference:
            shares.append((best / base, best, base, winner))
    if not shares:
        return "What it costs has not been measured (`run --profile` does)."
    shares.sort(key=lambda each: each[0])
    (low, _, _, _), (high, best, base, winner) = shares[0], shares[-1]
    times = f"{low:.2g} to {high:.2g} times" if f"{low:.2g}" != f"{high:.2g}" else f"{high:.2g} times"
    return (
        f"Measured alone, the best trains {times} as long as {summary.baseline} (at most {best:.3g} s against {base:.3g} s: {winner.name})."
    )


def _seconds(summary: Summary, condition: str, row: str) -> float:
    entry = summary.entries[condition].get(row)
    solo = entry.cells[0].solo if entry and entry.cells else {}
    return 0.0 if solo.get("contended") else float(solo.get("seconds", 0.0))


def _verdict(ahead: Sequence[Winner], total: int) -> str:
    clear = sum(winner.clear for winner in ahead)
    if clear == 0:
        return "no difference is clear"
    if clear < total:
        return f"the 95 % interval excludes 0 in {clear} of {total}"
    return "all of the 95 % intervals exclude 0" if total > 1 else "the 95 % interval excludes 0"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
