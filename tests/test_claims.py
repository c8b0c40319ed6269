"""Verdicts on synthetic tables of known truth, their error rate, and the pieces they are made of against independent references."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.claims import Claim, judge
from benchmark.evidence import ClaimResult
from benchmark.identity import canonical, digest
from benchmark.inference import ALPHA, Evidence, above, at_least, below, deciding_seeds, holm, within
from benchmark.language.claims import claims_of, references_of
from benchmark.language.document import parse
from benchmark.operands import spearman
from benchmark.records import CellResult, MetricInfo
from benchmark.references import compare
from benchmark.summary import mean_of

METRICS = (MetricInfo("auc", True, ""), MetricInfo("nll", False, ""))
ROWS = {"none": {"method": "none"}, "ros": {"method": "ros", "method.ratio": 1.0}, "rus": {"method": "rus", "method.ratio": 1.0}}


def cell(method: str, seed: int, value: float, *, ratio: float = 10.0, minority: float = 0.5, **changes: Any) -> CellResult:
    attributes = {"dataset": "digits", "imbalance": "step", "imbalance.ratio": ratio, "imbalance.minority": minority, "model": "lenet5"}
    attributes |= {"recipe.batch": 64, **ROWS[method], **changes.pop("attributes", {})}
    key = digest(canonical(attributes))
    made = CellResult("s", f"{key}{seed}", key, attributes, seed, "ok", metrics={"auc": value, "nll": value})
    return replace(made, **changes)


def table(truth: dict[str, float], *, seeds: int = 10, sd: float = 0.01, shared: float = 0.05, ratios=(10.0,), random: int = 0):
    """Cells whose mean is the truth; seeds shift all methods alike by `shared`, each by its own noise `sd`."""
    draws = np.random.default_rng(random)
    found = []
    for ratio in ratios:
        shift = draws.normal(0, shared, seeds)
        for method, mean in truth.items():
            noise = draws.normal(0, sd, seeds)
            found += [cell(method, seed, mean + shift[seed] + noise[seed], ratio=ratio) for seed in range(seeds)]
    return found


def claim(text: str) -> Claim:
    return claims_of(parse(f"- {{id: A, says: it, source: §1, {text}}}", source="x"))[0]


def verdict(text: str, cells: list[CellResult]) -> ClaimResult:
    return judge([claim(text)], cells, METRICS)[0]


BETTER = "metric: auc, compare: {a: {method: ros}, b: {method: none}}, expect: a > b"


# -- the pieces


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30).filter(lambda x: np.std(x) > 1e-6), st.floats(-0.5, 0.5))
def test_p_values_are_those_of_the_t_test(values, bound):
    found = above(mean_of(values), bound)
    assert found.for_ == pytest.approx(stats.ttest_1samp(values, bound, alternative="greater").pvalue, abs=1e-9)
    assert found.against == pytest.approx(stats.ttest_1samp(values, bound, alternative="less").pvalue, abs=1e-9)
    assert below(mean_of(values), bound) == Evidence(found.against, found.for_)


def test_a_verdict_agrees_with_the_interval():
    """Two-sided p <= 0.05 exactly where the 95 % t interval excludes the bound."""
    random = np.random.default_rng(1)
    for _ in range(200):
        sample = mean_of(random.normal(0.01, 0.02, 6))
        assert (above(sample, 0.0).two_sided <= 0.05) == sample.excludes_zero


def test_values_that_are_all_alike_are_no_certainty():
    assert above(mean_of([0.1] * 4), 0.0) == Evidence(1 / 16, 1.0)
    assert above(mean_of([0.0] * 4), 0.0) == Evidence(1.0, 1.0)
    assert above(mean_of([0.1]), 0.0) == Evidence(1.0, 1.0)


def test_equivalence_needs_both_sides():
    narrow = mean_of([0.001, -0.001, 0.0, 0.002, -0.002])
    assert within(narrow, 0.01).for_ < 0.001
    assert within(narrow, 0.01).against == 1.0
    assert within(mean_of([0.05, 0.051, 0.049]), 0.01).against < 0.01


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_partial_conjunctions_by_hand():
    found = [Evidence(p, 1 - p) for p in (0.001, 0.01, 0.2)]
    assert at_least(found, 3).for_ == 0.2  # all: the largest
    assert at_least(found, 1).for_ == pytest.approx(0.003)  # one: Bonferroni
    assert at_least(found, 2).for_ == pytest.approx(0.02)  # (3 - 2 + 1) x 0.01
    assert at_least(found, 2).against == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_rank_correlation_is_scipys(pairs):
    x, y = np.array(pairs, dtype=float).T
    if np.ptp(x) and np.ptp(y):
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    else:
        assert spearman(x, y) == 0.0


def test_the_seeds_that_decide_are_the_fewest():
    def evidence(num: int) -> Evidence:
        return above(replace(mean_of([0.0, 0.02]), mean=0.01, sd=0.02, num=num), 0.0)

    wanted = deciding_seeds(evidence, 3, 0.05)
    assert wanted is not None
    assert evidence(wanted).two_sided <= 0.05 < evidence(wanted - 1).two_sided
    assert deciding_seeds(lambda _: Evidence(0.5, 0.5), 3, 0.05) is None


# -- verdicts


def test_known_truths_get_their_verdicts():
    cells = table({"none": 0.90, "ros": 0.93, "rus": 0.85})
    assert verdict(BETTER, cells).verdict == "supported"
    assert verdict("metric: auc, compare: {a: {method: rus}, b: {method: none}}, expect: a >= b - 0.01", cells).verdict == "contradicted"
    assert verdict("metric: auc, compare: {a: {method: ros}, b: {method: none}}, expect: a ~ b +- 0.05", cells).verdict == "supported"
    assert verdict("metric: auc, compare: {a: {method: ros}, b: 0.2}, expect: a <= b", cells).verdict == "contradicted"
    close = verdict("metric: auc, compare: {a: {method: ros}, b: {method: none}}, expect: a >= b + 0.031", cells)
    assert close.verdict == "inconclusive"
    assert "more seeds would" in close.note or "too close" in close.note


def test_pairs_take_out_what_seeds_share():
    """The noise that all methods share is five times the difference: unpaired nothing could be told."""
    found = verdict(BETTER, table({"none": 0.90, "ros": 0.91}, sd=0.002, shared=0.05))
    assert found.verdict == "supported"
    (effect,) = found.effects
    assert effect.mean == pytest.approx(0.01, abs=0.002)
    assert effect.low < effect.mean < effect.high
    assert effect.num == 10


def test_how_often_it_must_hold_counts():
    cells = table({"none": 0.9, "ros": 0.95}, ratios=(10.0, 20.0, 50.0)) + table({"none": 0.9, "ros": 0.85}, ratios=(100.0,))
    assert verdict(f"{BETTER}, in: every", cells).verdict == "contradicted"
    assert verdict(f"{BETTER}, in: 75 %", cells).verdict == "supported"
    assert verdict(f"{BETTER}, in: some", cells).verdict == "supported"
    assert verdict(f"{BETTER}, in: pooled", cells).verdict == "supported"
    assert len(verdict(f"{BETTER}, in: pooled", cells).effects) == 1
    assert [effect.holds for effect in verdict(BETTER, cells).effects] == [True, True, True, False]


def test_where_narrows_and_lower_is_better_is_known():
    cells = table({"none": 0.9, "ros": 0.95}, ratios=(10.0, 20.0))
    assert len(verdict(f"{BETTER}, where: {{imbalance.ratio: 20}}", cells).effects) == 1
    best = "metric: nll, compare: {a: {best: [{method: none}, {method: ros}]}, b: {method: none}}, expect: a ~ b +- 0.001"
    assert [effect.mean for effect in verdict(best, cells).effects] == pytest.approx([0.0, 0.0])
    cells = [replace(each, metrics={"validation.nll": each.metrics["nll"]}) for each in cells]
    best = best.replace("metric: nll", "metric: validation.nll")
    assert [effect.mean for effect in verdict(best, cells).effects] == pytest.approx([0.0, 0.0])


def test_sides_may_differ_in_what_they_name_and_in_nothing_else():
    full = [cell("none", seed, 0.99, attributes={"imbalance": "none", "imbalance.ratio": 1.0}) for seed in range(5)]
    cells = table({"none": 0.9}, seeds=5, ratios=(10.0, 100.0)) + full
    hurts = "metric: auc, compare: {a: {method: none, imbalance: step}, b: {method: none, imbalance: none}}, expect: a < b"
    assert [effect.num for effect in verdict(hurts, cells).effects] == [5, 5]
    other = [replace(each, attributes={**each.attributes, "model": "small-cnn"}, config_key="other") for each in full]
    assert verdict(hurts, [*cells[:10], *other]).verdict == "not tested"


def test_trends_differences_peaks_and_neighbours():
    draws = np.random.default_rng(0)
    cells = []
    for seed in range(8):
        for ratio, (none, ros) in {10: (0.95, 0.96), 100: (0.90, 0.94), 1000: (0.70, 0.80)}.items():
            cells += [cell("none", seed, none + draws.normal(0, 1e-3), ratio=ratio), cell("ros", seed, ros, ratio=ratio)]
    falling = "metric: auc, compare: {a: {spearman: {of: {method: none}, along: imbalance.ratio}}}, expect: a <= -0.9"
    assert verdict(falling, cells).effects[0].mean == -1.0
    assert verdict(falling, cells).verdict == "supported"
    gap = "{difference: [{method: ros}, {method: none}]}"
    slope = verdict(f"metric: auc, compare: {{a: {{slope: {{of: {gap}, along: imbalance.ratio}}}}}}, expect: a > 0", cells)
    assert slope.effects[0].mean == pytest.approx((0.10 - 0.01) / 2, abs=2e-3)  # least squares on three equal steps
    peak = verdict("metric: auc, compare: {a: {peak: {of: {method: none}, along: imbalance.ratio}}}, expect: a <= 1.5", cells)
    assert peak.effects[0].mean == 1.0
    near = "metric: auc, compare: {a: {nearest: {of: {method: ros}, among: {method: none}}}}, expect: a ~ 0 +- 0.2"
    assert [effect.mean for effect in verdict(near, cells).effects] == pytest.approx([0.01, 0.04, 0.10], abs=2e-3)


def test_what_cannot_be_tested_says_why():
    cells = table({"none": 0.9, "ros": 0.95}, seeds=3)
    assert verdict("not_tested: needs a GPU", cells).note == "needs a GPU"
    assert verdict("metric: auc, compare: {a: {method: two-phase}, b: {method: none}}, expect: a > b", cells).note == (
        "this suite has no such cells."
    )
    open_ = [replace(each, status="missing", metrics={}) if each.method == "ros" else each for each in cells]
    assert verdict(BETTER, open_).note == "nothing of it has been measured."
    unclear = verdict("metric: auc, compare: {a: {method: ros}, b: {imbalance: step}}, expect: a >= b", cells)
    assert (unclear.verdict, "configurations where one is meant" in unclear.note) == ("not tested", True)
    assert all(math.isnan(each.p) for each in (unclear, verdict(BETTER, open_)))


def test_a_condition_without_values_keeps_a_claim_open():
    cells = table({"none": 0.9, "ros": 0.95}, ratios=(10.0, 20.0))
    partly = [replace(each, status="failed") if each.attributes["imbalance.ratio"] == 20 else each for each in cells]
    found = verdict(BETTER, partly)
    assert (found.verdict, found.note) == ("inconclusive", "1 of 2 conditions have no value yet.")
    skipped = [replace(each, status="skipped") if each.attributes["imbalance.ratio"] == 20 else each for each in cells]
    assert verdict(BETTER, skipped).verdict == "supported"


def test_an_identity_needs_no_statistics():
    same = [cell(method, seed, 0.1 * seed) for method in ("none", "ros") for seed in range(2)]
    exact = "metric: auc, compare: {a: {method: ros}, b: {method: none}}, expect: a ~ b +- 1e-6, exact: on"
    assert verdict(exact, same).verdict == "supported"
    assert math.isnan(verdict(exact, same).p)
    off = [*same[:-1], cell("ros", 1, 0.1 + 1e-5)]
    assert verdict(exact, off).verdict == "contradicted"
    many = [cell(method, seed, 0.5) for method in ("none", "ros") for seed in range(50)]
    many[-1] = cell("ros", 49, 0.5 + 3e-6)  # one pair in fifty: mean and deviation are within 1e-6, the pair is not
    assert verdict(exact, many).verdict == "contradicted"


def test_p_values_are_corrected_for_the_claims_that_were_tested():
    cells = table({"none": 0.9, "ros": 0.91, "rus": 0.9}, seeds=6, sd=0.008, random=4)
    alone = verdict(BETTER, cells).p
    others = [replace(claim("metric: auc, compare: {a: {method: rus}, b: {method: none}}, expect: a > b"), id=f"C{i}") for i in range(9)]
    found = judge([claim(BETTER), *others, claim("not_tested: why")], cells, METRICS)
    assert found[0].p == pytest.approx(min(1.0, 10 * alone))


def test_the_rate_of_false_verdicts_is_at_most_alpha():
    """No difference at all: of suites with six claims of three kinds, at most 5 % may have any verdict that is not earned."""
    claims = [
        claim(BETTER),
        claim("metric: auc, compare: {a: {method: rus}, b: {method: none}}, expect: a < b"),
        claim(f"{BETTER}, in: some"),
        claim(f"{BETTER}, in: pooled"),
        claim("metric: auc, compare: {a: {best: [{method: ros}, {method: rus}]}, b: {method: none}}, expect: a > b, in: pooled"),
        claim("metric: auc, compare: {a: {method: ros}, b: {method: rus}}, expect: a > b"),
    ]
    claims = [replace(each, id=str(index)) for index, each in enumerate(claims)]
    suites = 300
    wrong = 0
    for number in range(suites):
        cells = table({"none": 0.9, "ros": 0.9, "rus": 0.9}, seeds=5, ratios=(10.0, 100.0), random=number)
        wrong += any(found.verdict in ("supported", "contradicted") for found in judge(claims, cells, METRICS))
    assert wrong <= stats.binom.ppf(0.999, suites, ALPHA)


def test_the_best_of_several_is_not_favoured():
    """Ten equal methods: naming the best by its own values would call it better nearly always."""
    members = ", ".join(f"{{method: ros, method.ratio: {i}}}" for i in range(1, 11))
    best = claim(f"metric: auc, compare: {{a: {{best: [{members}]}}, b: {{method: none}}}}, expect: a > b")
    wrong = 0
    for number in range(200):
        draws = np.random.default_rng(number)
        cells = [cell("none", seed, draws.normal()) for seed in range(6)]
        for ratio in range(1, 11):
            cells += [cell("ros", seed, draws.normal(), attributes={"method.ratio": ratio}) for seed in range(6)]
        wrong += judge([best], cells, METRICS)[0].verdict == "supported"
    assert wrong <= stats.binom.ppf(0.999, 200, ALPHA)


# -- references


def test_references_stand_beside_what_was_measured():
    text = """
- {id: T4, where: {method: ros}, metric: auc, value: 0.95, source: Table 4}
- {id: F3, metric: auc, source: Fig. 3}
- {id: X, where: {method: [none, ros]}, metric: auc, value: 0.9, source: §3, comparable: off, note: other data.}
"""
    cells = table({"none": 0.9, "ros": 0.94}, sd=0.0, shared=0.0, seeds=3)
    table4, figure, both = compare(references_of(parse(text, source="x")), cells)
    assert (table4.published, table4.measured, table4.num, table4.where) == (0.95, pytest.approx(0.94), 3, "method=ros")
    assert (figure.published, figure.num) == (None, 0)
    assert math.isnan(both.measured)
    assert both.note == "other data. 2 configurations match: name more attributes."
    assert not both.comparable
