"""Quality over seeds: against SciPy, the four answers, Holm, the number of seeds that would decide, calibration on synthetic trainings."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from benchmark.gate.images import ImageTest
from benchmark.gate.policy import Policy
from benchmark.gate.quality import Pair, Sample, judge, networks, together

POLICY = Policy(quality=0.01, alpha=0.01)


def sample(before, after, *, metric="accuracy", higher=True, **fields) -> Sample:
    pairs = tuple(Pair(seed, b, a) for seed, (b, a) in enumerate(zip(before, after, strict=True)))
    return Sample(metric, higher, pairs, tuple(before), **fields)


def one(before, after, **fields):
    (found,) = judge([sample(before, after, **fields)], POLICY)
    return found


BASE = np.array([0.90, 0.91, 0.89, 0.905, 0.895])
NOISE = np.array([0.001, -0.001, 0.0005, -0.0005, 0.0])


def test_the_p_value_is_that_of_the_clearer_t_test_of_two():
    after = BASE - 0.02 + NOISE
    found = one(BASE, after)
    clear = scipy.stats.ttest_rel(BASE, after, alternative="greater").pvalue
    assert found.p == pytest.approx(2 * clear)
    unpaired = BASE[[2, 4, 1, 0, 3]] - 0.03  # nothing in common within a pair
    other = scipy.stats.ttest_ind(BASE, unpaired, alternative="greater").pvalue
    assert other < scipy.stats.ttest_rel(BASE, unpaired, alternative="greater").pvalue
    assert one(BASE, unpaired).p == pytest.approx(2 * other)
    assert (found.outcome, found.num) == ("regressed", 5)
    assert (found.before, found.after, found.loss) == pytest.approx((BASE.mean(), after.mean(), 0.02))
    low, high = scipy.stats.ttest_rel(BASE, after).confidence_interval(0.98)
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("shift", "noise", "outcome", "improved"),
    [
        (-0.02, 1, "regressed", False),
        (-0.005, 1, "ok", False),  # significant, but below the margin, and the margin is ruled out
        (0.0, 1, "ok", False),
        (0.02, 1, "ok", True),
        (-0.02, 30, "inconclusive", False),
        (0.0, 30, "inconclusive", False),  # nothing lost, but the margin cannot be ruled out
    ],
)
def test_the_answers(shift, noise, outcome, improved):
    found = one(BASE, BASE + shift + noise * NOISE)
    assert (found.outcome, found.improved) == (outcome, improved)


def test_lower_is_better_turns_the_answer():
    assert one(BASE, BASE + 0.02 + NOISE, higher=False).outcome == "regressed"
    assert one(BASE, BASE - 0.02 + NOISE, higher=False).improved


def test_nothing_to_compare_is_not_measured_and_the_same_predictions_are_ok():
    nothing, undefined = Sample("auc", True, ()), sample([np.nan], [0.5])
    same = Sample("auc", True, (Pair(0, 0.9, 0.9, is_same=True),))
    found = judge([nothing, undefined, same], POLICY)
    assert [each.outcome for each in found] == ["not measured", "not measured", "ok"]
    assert found[2].test == "the same predictions"


def test_inconclusive_says_how_many_seeds_would_decide():
    varied = np.linspace(0.2, 0.8, 5)  # so different from seed to seed that only pairs tell
    for shift in (-0.02, 0.0):
        losses = shift + 20 * NOISE
        found = one(varied, varied + losses)
        more, total = map(int, re.match(r"(\d+) more seeds .* \((\d+) in all\)", found.note).groups())
        assert total == 5 + more
        for number, outcome in ((total, {-0.02: "regressed", 0.0: "ok"}[shift]), (total - 1, "inconclusive")):
            z = scipy.stats.norm.ppf((np.arange(number) + 0.5) / number)
            like = losses.mean() + (z - z.mean()) / z.std(ddof=1) * losses.std(ddof=1)
            base = np.linspace(0.2, 0.8, number)
            assert one(base, base + like).outcome == outcome


def test_many_configurations_are_corrected_together():
    worse = sample(BASE, BASE - 0.012 + 5 * NOISE)
    alone, among = judge([worse], POLICY)[0], judge([worse] * 10, POLICY)[0]
    assert among.p == pytest.approx(10 * alone.p)
    assert (alone.outcome, among.outcome) == ("regressed", "inconclusive")


def images(loss: float, p_worse: float) -> ImageTest:
    return ImageTest(loss, p_worse, 1 - p_worse, "McNemar exact over 500 images")


def test_one_seed_needs_the_images_and_the_spread_of_the_baselines_seeds():
    def judged(loss: float, p_worse: float, before_all) -> str:
        (found,) = judge([Sample("accuracy", True, (Pair(0, 0.9, 0.9 - loss, False, images(loss, p_worse)),), before_all)], POLICY)
        return found.outcome

    steady = (0.900, 0.901, 0.899, 0.9005, 0.8995)
    assert judged(0.1, 1e-9, steady) == "regressed"
    assert judged(0.1, 1e-9, (0.9,)) == "inconclusive"  # how trainings vary is not known
    assert judged(0.1, 1e-9, (0.9, 0.8, 0.95, 0.85)) == "inconclusive"  # such a loss is luck here
    assert judged(0.1, 0.2, steady) == "inconclusive"  # such a loss is luck on these images
    assert judged(0.0, 0.5, steady) == "ok"


def test_two_networks_by_their_images():
    def outcome(loss: float, p: float) -> str:
        return networks("accuracy", Pair(0, 0.9, 0.9 - loss, False, images(loss, p)), POLICY).outcome

    assert [outcome(0.05, 1e-6), outcome(0.05, 0.2), outcome(0.001, 1e-6), outcome(-0.05, 1.0)] == ["regressed", "inconclusive", "ok", "ok"]
    assert networks("auc", Pair(0, 0.9, 0.9, is_same=True), POLICY).outcome == "ok"
    assert networks("auc", Pair(0, 0.9, 0.8), POLICY).outcome == "not measured"


def test_small_losses_that_all_share_show_together():
    random = np.random.default_rng(0)
    group = [sample(BASE, BASE - 0.012 + random.normal(0, 0.006, 5)) for _ in range(12)]
    (pooled,) = together({"accuracy": group})
    assert len(pooled.pairs) == 5
    assert pooled.losses.mean == pytest.approx(np.mean([each.losses.mean for each in group]))
    (found,) = judge([pooled], POLICY)
    assert found.outcome == "regressed"
    assert "inconclusive" in {each.outcome for each in judge(group, POLICY)}
    assert together({"accuracy": group[:1]}) == []


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=8), st.floats(0.001, 0.1))
def test_better_results_never_turn_an_answer_to_the_worse(losses, margin):
    gravity = {"ok": 0, "inconclusive": 1, "regressed": 2}
    before = np.full(len(losses), 0.5)
    policy = replace(POLICY, quality=margin)
    worse, better = (judge([sample(before, before - np.array(losses) + gain)], policy)[0] for gain in (0.0, 0.05))
    assert gravity[better.outcome] <= gravity[worse.outcome]


def simulate(random, *, loss: float, configurations: int = 4, seeds: int = 5) -> list[str]:
    """A check of the same code, or of one that loses: other seeds on both sides, so that nothing is paired but in name."""
    level = random.uniform(0.8, 0.95, configurations)
    deviation = random.uniform(0.002, 0.02, configurations)
    sides = [level[:, None] + deviation[:, None] * random.normal(size=(configurations, seeds)) for _ in range(2)]
    samples = [sample(before, after - loss) for before, after in zip(*sides, strict=True)]
    return [each.outcome for each in judge([*samples, *together({"accuracy": samples})], Policy(quality=0.005, alpha=0.05))]


def test_false_alarms_over_whole_checks_stay_below_alpha():
    random = np.random.default_rng(1)
    alarms = sum("regressed" in simulate(random, loss=0.0) for _ in range(300))
    assert alarms <= scipy.stats.binom(300, 0.05).ppf(0.999)
    found = sum("regressed" in simulate(random, loss=0.05) for _ in range(60))
    assert found >= 45
