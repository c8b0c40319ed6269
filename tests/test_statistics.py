"""Exact tests, bootstrap, ranks and power against scipy, scikit-posthocs, published numbers and counting by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.exact import exact_test, fewest_pairs, sign_flip, signed_rank, smallest_p
from benchmark.inference import effect_size, holm
from benchmark.means import BOOTSTRAP_FROM, bootstrap_ends, interval_mean, mean_of
from benchmark.power import detectable, deviations, power
from benchmark.ranks import friedman, rank, why_refused
from benchmark.records import CellResult
from benchmark.summary import compare, summarize
from tests.results_factory import metrics_of, results, study, unfinished

PAIRS = st.lists(st.integers(-20, 20).map(lambda value: value / 8), min_size=1, max_size=8)


@given(PAIRS)
def test_the_sign_flip_test_counts_all_arrangements(values: list[float]) -> None:
    observed = abs(sum(values))
    flips = [
        abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    assert sign_flip(np.array(values)) == pytest.approx(sum(flip >= observed for flip in flips) / len(flips))


@given(PAIRS)
def test_the_signed_rank_test_counts_all_arrangements_also_with_ties(values: list[float]) -> None:
    nonzero = [value for value in values if value]
    ranks = stats.rankdata(np.abs(nonzero)) if nonzero else []
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0) for signs in itertools.product((1, -1), repeat=len(ranks))
    ]
    observed = sum(rank for rank, value in zip(ranks, nonzero, strict=True) if value > 0)
    tails = np.mean([total <= observed for total in sums]), np.mean([total >= observed for total in sums])
    assert signed_rank(np.array(values)) == pytest.approx(min(1.0, 2 * min(tails)))


@pytest.mark.parametrize("num", [13, 30, 50])
def test_the_signed_rank_test_is_scipys(num: int) -> None:
    values = np.random.default_rng(num).normal(0.3, 1, num)
    assert signed_rank(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)
    found = exact_test(list(values))
    assert found is not None
    assert (found.name, found.p) == ("signed-rank", signed_rank(values))


def test_five_seeds_cannot_go_below_a_sixteenth() -> None:
    found = exact_test([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    assert (found.name, found.p, found.smallest) == ("sign-flip", 0.0625, 0.0625)
    assert [smallest_p(num) for num in (1, 3, 6)] == [1.0, 0.25, 0.03125]
    assert fewest_pairs(0.05) == 6
    assert exact_test([math.nan]) is None


def test_a_large_sample_has_the_bootstrap_interval_of_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=40)
    reference = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20_000, random_state=2).confidence_interval
    low, high = bootstrap_ends(values)
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.03)
    found = interval_mean(values)
    assert (found.interval, found.low, found.high) == ("bootstrap", low, high)
    assert found.mean - found.low < found.high - found.mean  # skewed to the right
    assert interval_mean(values) == found  # the same resamples


def test_a_small_sample_has_the_t_interval() -> None:
    values = list(np.random.default_rng(3).normal(size=BOOTSTRAP_FROM - 1))
    assert interval_mean(values) == mean_of(values)
    assert interval_mean(values).interval == "t"
    assert interval_mean([0.5] * 30).half_width == 0


def test_the_effect_size_is_hedges() -> None:
    values = np.array([0.1, 0.3, 0.2, 0.6, 0.4])
    assert effect_size(mean_of(values)) == pytest.approx(values.mean() / values.std(ddof=1) * (1 - 3 / 15))
    assert math.isnan(effect_size(mean_of([0.1, 0.1])))


def test_comparisons_are_one_family_in_which_shared_outputs_count_once() -> None:
    a, b = [0.1, 0.2, 0.15, 0.12], [0.01, -0.02, 0.03, 0.005]
    found = compare({"a": a, "same outputs as a": a, "b": b, "equal to the baseline": [0.0] * 4})
    raw = [stats.ttest_1samp(values, 0).pvalue for values in (a, b)]
    assert [found[name].p for name in ("a", "b")] == pytest.approx(raw)
    assert [found[name].p_holm for name in ("a", "b")] == pytest.approx(holm(raw))
    assert found["same outputs as a"] == found["a"]
    assert "equal to the baseline" not in found


def test_the_best_is_bold_only_where_it_is_clearly_ahead() -> None:
    def standings(change) -> dict[str, str]:
        entries = summarize(results(ratios=(10.0,), seeds=4, change=change)).entries["digits · step ratio=10 · lenet5"]
        return {row: entry.scores["auc"].standing for row, entry in entries.items()}

    assert standings(lambda made: made) == {"none": "", "ros": "best", "thresholding(none)": ""}

    def alike(made: CellResult) -> CellResult:
        shift = 0.02 * (-1) ** made.seed if made.method == "ros" else 0.0
        return replace(made, metrics=metrics_of(made.metrics["auc"] + shift - 0.019 * (made.method == "ros")))

    assert standings(alike) == {"none": "tied", "ros": "leads", "thresholding(none)": "tied"}


@given(st.integers(3, 6), st.integers(6, 20), st.integers(0, 10_000))
@settings(max_examples=25)
def test_friedmans_statistic_is_scipys(methods: int, conditions: int, seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 6, (conditions, methods)) + np.arange(methods) * 1.5
    ranks = np.array([stats.rankdata(line) for line in table])
    chi = stats.friedmanchisquare(*table.T).statistic
    rest = conditions * (methods - 1) - chi
    if not math.isfinite(chi) or rest <= 1e-9:
        return
    f = (conditions - 1) * chi / rest  # Iman & Davenport 1980
    assert friedman(ranks) == pytest.approx(stats.f.sf(f, methods - 1, (methods - 1) * (conditions - 1)))


def test_pairs_of_ranks_are_those_of_scikit_posthocs() -> None:
    import pandas as pd
    import scikit_posthocs

    made = study(ratios=(10.0, 50.0, 100.0, 500.0), minorities=(0.2, 0.5, 0.8), seeds=2)
    found = rank(summarize(made), "auc", higher_is_better=True)
    assert found is not None
    assert not found.refused
    assert found.pairs is not None
    assert len(found.conditions) == 16
    assert set(found.names) == {"none", "ros", "rus", "two-phase(ros)", "thresholding(none)"}
    rows = [found_ for found_ in summarize(made).entries.values() if len(found_) > 1]
    means = {name: [np.mean([c.metrics["auc"] for c in each[name].cells]) for each in rows] for name in found.names}
    frame = pd.DataFrame(means).melt(var_name="method", value_name="auc")
    reference = scikit_posthocs.posthoc_wilcoxon(frame, val_col="auc", group_col="method", p_adjust="holm")
    for (first, second), p in found.pairs.items():
        assert p == pytest.approx(reference.loc[first, second])
    ranks = np.array([stats.rankdata([-means[name][at] for name in found.names]) for at in range(16)])
    assert list(found.means.values()) == pytest.approx(ranks.mean(axis=0))
    assert sum(found.wins.values()) == pytest.approx(16)


def test_ranks_of_too_few_conditions_are_refused_with_the_number_needed() -> None:
    assert "smallest p" in why_refused(2, 5)
    assert "9 conditions would be needed" in why_refused(5, 5)  # 10 pairs: 10 * 2^-8 = 0.039
    assert why_refused(9, 5) == ""
    assert "2 methods" in why_refused(50, 2)
    found = rank(summarize(results()), "auc", higher_is_better=True)
    assert found is not None
    assert found.names == ("ros", "none = thresholding(none)")  # the same outputs are one treatment
    assert found.pairs is None
    assert found.refused


def test_only_conditions_that_all_methods_have_are_ranked() -> None:
    def lose(made: CellResult) -> CellResult:
        return unfinished(made) if made.method == "ros" and made.attributes["imbalance.ratio"] == 2.0 else made

    found = rank(summarize(results(ratios=(2.0, 3.0, 4.0, 5.0, 6.0), change=lose)), "auc", higher_is_better=True)
    assert found is not None
    assert found.conditions == tuple(f"step ratio={ratio}" for ratio in (3, 4, 5, 6))


def test_power_of_the_paired_t_test_is_the_published_one() -> None:
    """G*Power 3.1, difference of two dependent means, two tails: dz = 0.5 needs 34 pairs for a power of 0.80 (Faul et al. 2007)."""
    assert power(0.5, 34) == pytest.approx(0.8078, abs=2e-4)
    assert power(0.5, 33) < 0.8
    assert power(0.0, 10) == pytest.approx(0.05, abs=1e-6)
    assert detectable(34) < 0.5 < detectable(33)
    assert detectable(1) == math.inf


def test_power_is_what_simulation_finds() -> None:
    draws = np.random.default_rng(0).normal(detectable(5), 1, (20_000, 5))
    p = stats.ttest_1samp(draws, 0, axis=1).pvalue
    assert float(np.mean(p <= 0.05)) == pytest.approx(0.8, abs=0.01)


def test_deviations_are_pooled_over_conditions() -> None:
    shifts = {10.0: [0.00, 0.01, 0.05], 100.0: [0.02, 0.00, -0.03]}

    def change(made: CellResult) -> CellResult:
        extra = shifts[float(made.attributes["imbalance.ratio"] or 0)][made.seed] if made.method == "ros" else 0.0
        return replace(made, metrics=metrics_of(0.5 + extra))

    (found,) = deviations(summarize(results(change=change)), "auc")
    variances = [np.var(found_, ddof=1) for found_ in shifts.values()]
    assert (found.row, found.pairs, found.conditions) == ("ros", 6, 2)
    assert found.sd == pytest.approx(np.sqrt(np.mean(variances)))
    assert found.smallest(5) == pytest.approx(found.sd * detectable(5))
    assert deviations(summarize(results(seeds=1)), "auc") == []
