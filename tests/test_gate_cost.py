"""Time and memory against the pinned window: same context only, alarms confirmed, false alarms below alpha on synthetic machines."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from gate_factory import timing

from benchmark.gate.cost import Window, differences, judge_memory, judge_time
from benchmark.gate.policy import Policy

POLICY = Policy(time=0.05, memory=0.05, alpha=0.01)
BEFORE = [timing(seconds) for seconds in (1.0, 1.01, 0.99, 1.005, 0.995)]


def judged(*after: float):
    (found,) = judge_time([Window(BEFORE, [timing(seconds) for seconds in after])], POLICY)
    return found


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ((1.0,), "ok"),
        ((1.2,), "inconclusive"),  # an alarm that nobody has confirmed
        ((1.2, 1.2), "regressed"),
        ((1.2, 1.0, 1.0), "ok"),  # disturbed once
        ((1.04,), "inconclusive"),  # too near to the margin to be told
    ],
)
def test_an_alarm_needs_a_confirmation(after, outcome):
    assert judged(*after).outcome == outcome


def test_an_improvement_is_told():
    found = judged(0.8)
    assert (found.outcome, found.improved) == ("ok", True)
    assert found.loss == pytest.approx(-0.2)


def test_another_machine_is_not_measured_and_says_what_differs():
    (found,) = judge_time([Window(BEFORE, [timing(2.0, processor="two", torch="2.1")])], POLICY)
    assert found.outcome == "not measured"
    assert "processor: one → two" in found.note
    assert "torch: 2.0 → 2.1" in found.note
    (memory,) = judge_memory([Window(BEFORE, [timing(2.0, processor="two")])], POLICY)
    assert memory.outcome == "not measured"


def test_other_code_is_no_other_context():
    assert differences({"code_version": "a", "skewbench": "1", "host": "h"}, {"code_version": "b", "skewbench": "2", "host": "h"}) == []


def test_nothing_measured_is_not_measured():
    found = judge_time([Window([], [timing(1.0)]), Window(BEFORE, [])], POLICY)
    assert [each.outcome for each in found] == ["not measured", "not measured"]
    assert "--timings" in found[0].note
    assert "--no-run" in found[1].note


def test_a_noisy_machine_is_inconclusive_and_says_so():
    before = [timing(seconds) for seconds in (1.0, 1.3, 0.8, 1.1, 0.7)]
    (found,) = judge_time([Window(before, [timing(1.05)] * 3)], POLICY)
    assert found.outcome == "inconclusive"
    assert "differ by" in found.note


@pytest.mark.parametrize(("after", "outcome"), [((100, 100), "ok"), ((120, 120), "regressed"), ((120, 101), "ok"), ((104,), "ok")])
def test_memory_is_compared_as_it_is(after, outcome):
    before = [timing(1.0, memory=value) for value in (100.0, 100.5, 99.5)]
    (found,) = judge_memory([Window(before, [timing(1.0, memory=value) for value in after])], POLICY)
    assert found.outcome == outcome


def test_memory_of_the_device_comes_first():
    there = timing(1.0)
    there["figures"]["peak_device_mib"] = 50.0
    (found,) = judge_memory([Window([there], [there])], POLICY)
    assert found.metric == "peak_device_mib"


def nights(random, noise: float, outliers: float, num: int) -> list[float]:
    logs = random.normal(0, noise, num) + np.where(random.random(num) < outliers, np.log(1.15), 0)
    return [float(value) for value in np.exp(logs)]


def alarms(checks: int, *, noise: float, outliers: float, configurations: int, slower: float = 1.0) -> int:
    """Checks with an alarm on synthetic machines (notes/stack.md, section 5: outliers of +15 %), each alarm confirmed by two re-runs."""
    random = np.random.default_rng(0)
    found = 0
    for _ in range(checks):
        sides = [(nights(random, noise, outliers, 5), nights(random, noise, outliers, 3)) for _ in range(configurations)]
        windows = [Window([timing(s) for s in before], [timing(slower * s) for s in after]) for before, after in sides]
        found += any(each.outcome == "regressed" for each in judge_time(windows, POLICY))
    return found


@pytest.mark.parametrize(("noise", "outliers", "configurations"), [(0.02, 0.0, 1), (0.02, 0.05, 3), (0.05, 0.05, 3)])
def test_false_alarms_stay_below_alpha(noise, outliers, configurations):
    assert alarms(400, noise=noise, outliers=outliers, configurations=configurations) <= scipy.stats.binom(400, 0.01).ppf(0.999)


def test_a_slower_step_is_found_on_a_steady_machine():
    assert alarms(100, noise=0.01, outliers=0.0, configurations=1, slower=1.1) >= 75
