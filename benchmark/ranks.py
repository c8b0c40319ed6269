"""Methods ranked over conditions: mean ranks, Friedman's test, and pairs by Wilcoxon's signed-rank test with Holm's correction.

Seeds are averaged first, over those that all methods have: seeds of one condition are no more conditions. Methods that rest on the same
outputs everywhere (thresholding under AUC) are one treatment, not two. Demšar 2006; Benavoli et al. 2016 on why not Nemenyi.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from benchmark.exact import signed_rank, smallest_p
from benchmark.inference import ALPHA, holm
from benchmark.summary import Summary, values_by_seed

COMMON = 0.8
"""A method is ranked if it was measured in this share of the conditions at least: one that is rarely there would cost the others theirs."""
FEWEST_METHODS = 3


@dataclass(frozen=True)
class Ranks:
    """Mean ranks (1 is best) over the conditions in which every ranked method was measured."""

    metric: str
    names: tuple[str, ...]
    """Treatments, best first; `none = thresholding(none)` where two rest on the same outputs."""
    conditions: tuple[str, ...]
    means: Mapping[str, float]
    wins: Mapping[str, float]
    """Conditions in which it ranks first; shared where several do."""
    left_out: tuple[str, ...]
    """Methods measured in too few conditions."""
    refused: str
    """Why nothing is tested; empty where it is."""
    friedman_p: float = math.nan
    pairs: Mapping[tuple[str, str], float] | None = None
    """Holm-adjusted p by pair, in both orders."""

    def apart(self, first: str, second: str) -> bool:
        """Whether two treatments are told apart."""
        return self.pairs is not None and self.friedman_p <= ALPHA and self.pairs[first, second] <= ALPHA


def rank(summary: Summary, metric: str, *, higher_is_better: bool) -> Ranks | None:
    """Ranks by one metric; None where no two methods share two conditions."""
    values = _common_means(summary, metric)
    rows = [row for row in summary.rows if sum(row in found for found in values.values()) >= COMMON * max(1, len(values))]
    whole = {name: found for name, found in values.items() if all(row in found for row in rows)}
    if len(rows) < 2 or len(whole) < 2:
        return None
    table = np.array([[found[row] for row in rows] for found in whole.values()])
    names, table = _treatments(rows, table)
    ranks = np.array([_ranks(-line if higher_is_better else line) for line in table])
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    names, table, ranks = [names[at] for at in order], table[:, order], ranks[:, order]
    best = ranks == ranks.min(axis=1, keepdims=True)
    refused = why_refused(len(table), len(names))
    return Ranks(
        metric,
        tuple(names),
        tuple(whole),
        dict(zip(names, map(float, ranks.mean(axis=0)), strict=True)),
        dict(zip(names, map(float, (best / best.sum(axis=1, keepdims=True)).sum(axis=0)), strict=True)),
        tuple(row for row in summary.rows if row not in rows),
        refused,
        math.nan if refused else friedman(ranks),
        None if refused else _pairs(names, table),
    )


def why_refused(conditions: int, methods: int) -> str:
    """Why so many conditions and methods cannot be tested; empty where they can."""
    if methods < FEWEST_METHODS:
        return f"Ranks of {methods} methods are not tested: a critical-difference diagram needs {FEWEST_METHODS}."
    pairs = methods * (methods - 1) // 2
    reachable = min(1.0, pairs * smallest_p(conditions))
    if reachable <= ALPHA:
        return ""
    needed = math.ceil(1 - math.log2(ALPHA / pairs))
    return (
        f"No test of the ranks and no critical-difference diagram: with {conditions} conditions the smallest p that Wilcoxon's exact test "
        f"can reach, corrected for {pairs} pairs of methods, is {reachable:.2g}; {needed} conditions would be needed."
    )


def friedman(ranks: NDArray[np.float64]) -> float:
    """p of Friedman's test of ranks [conditions, methods], ties allowed, by Iman and Davenport's F, which is less conservative."""
    num, count = ranks.shape
    sums = ranks.sum(axis=0)
    ties = sum(float(size**3 - size) for line in ranks for size in np.unique(line, return_counts=True)[1])
    scale = num * count * (count + 1) / 12 - ties / (12 * (count - 1))
    if scale <= 0:
        return 1.0  # every rank is tied in every condition
    chi = float(((sums - num * (count + 1) / 2) ** 2).sum()) / scale
    rest = num * (count - 1) - chi
    if rest <= 0:
        return 0.0  # all conditions agree in every rank
    return float(fdtrc(count - 1, (count - 1) * (num - 1), (num - 1) * chi / rest))


def _common_means(summary: Summary, metric: str) -> dict[str, dict[str, float]]:
    """By condition and row: the mean over the seeds that all rows with results there have."""
    found: dict[str, dict[str, float]] = {}
    for name, rows in summary.entries.items():
        values = {row: _finite(values_by_seed(entry.cells, metric)) for row, entry in rows.items()}
        values = {row: by_seed for row, by_seed in values.items() if by_seed}
        common = set.intersection(*map(set, values.values())) if values else set()
        if common:
            found[name] = {row: float(np.mean([by_seed[seed] for seed in sorted(common)])) for row, by_seed in values.items()}
    return found


def _finite(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _treatments(rows: Sequence[str], table: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
    """Rows that are equal in every condition become one."""
    groups: dict[tuple[float, ...], list[str]] = defaultdict(list)
    for row, column in zip(rows, table.T, strict=True):
        groups[tuple(column)].append(row)
    return [" = ".join(names) for names in groups.values()], np.array(list(groups)).T


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for the smallest; ties share their mean rank."""
    ordered = np.sort(values)
    mean: NDArray[np.float64] = (np.searchsorted(ordered, values) + np.searchsorted(ordered, values, side="right") + 1) / 2
    return mean


def _pairs(names: Sequence[str], table: NDArray[np.float64]) -> dict[tuple[str, str], float]:
    both = [(a, b) for a in range(len(names)) for b in range(a + 1, len(names))]
    adjusted = holm([signed_rank(table[:, a] - table[:, b]) for a, b in both])
    found = {(names[a], names[b]): p for (a, b), p in zip(both, adjusted, strict=True)}
    return found | {(second, first): p for (first, second), p in found.items()}
