"""Change points on synthetic series whose truth is known, by precision and recall; statistics against scipy and against the definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.changes import Limits, _largest, change_points, changes_of, doubt, is_drift
from benchmark.moments import Moment, Series

NUM, NOISE, NEAR = 60, 0.02, 2
"""Measurements, relative noise of one, and how far from the truth a change point may be found."""
Pattern = Callable[[np.random.Generator], tuple[np.ndarray, list[int]]]


def noise(rng: np.random.Generator, num: int = NUM) -> np.ndarray:
    return 100 * (1 + NOISE * rng.standard_normal(num))


def steps(*factors: float, outliers: float = 0.0) -> Pattern:
    """Levels in equal parts, with a share of outliers of +15 %."""

    def make(rng):
        values, at = noise(rng), [round(NUM * part / len(factors)) for part in range(1, len(factors))]
        for part, low in enumerate([0, *at]):
            values[low : [*at, NUM][part]] *= factors[part]
        values[rng.random(NUM) < outliers] *= 1.15
        return values, [point for point, before, after in zip(at, factors, factors[1:], strict=False) if before != after]

    return make


def somewhere(factor: float) -> Pattern:
    def make(rng):
        values, at = noise(rng), int(rng.integers(8, NUM - 8))
        values[at:] *= factor
        return values, [at]

    return make


def louder(rng):
    values = noise(rng)
    values[NUM // 2 :] = 100 * (1 + 3 * NOISE * rng.standard_normal(NUM - NUM // 2))
    return values, []


PATTERNS: dict[str, tuple[Pattern, float]] = {
    "5 % slower": (somewhere(1.05), 0.9),
    "10 % slower": (somewhere(1.1), 0.98),
    "10 % faster": (somewhere(0.9), 0.98),
    "two steps up": (steps(1, 1.08, 1.16), 0.95),
    "a bump": (steps(1, 1, 1.1, 1, 1), 0.85),
    "a step among outliers": (steps(1, 1.1, outliers=0.05), 0.9),
}
"""Each with the share of its changes that must be found."""
STILL: dict[str, Pattern] = {"noise": steps(1), "outliers": steps(1, outliers=0.05), "louder": louder}


def counts(pattern: Pattern, repeats: int = 40) -> tuple[int, int, int]:
    """Changes that are there, changes found where one is, points found where none is."""
    there = hits = false = 0
    for seed in range(repeats):
        values, truth = pattern(np.random.default_rng(seed))
        found = change_points(values, least=0.02)
        there += len(truth)
        hits += sum(any(abs(at - point) <= NEAR for point in found) for at in truth)
        false += sum(all(abs(at - point) > NEAR for at in truth) for point in found)
    return there, hits, false


@pytest.mark.parametrize("name", PATTERNS)
def test_changes_are_found_where_they_are(name):
    pattern, recall = PATTERNS[name]
    there, hits, false = counts(pattern)
    assert hits / there >= recall
    assert hits / (hits + false) >= 0.9


@pytest.mark.parametrize("name", STILL)
def test_where_no_level_changes_none_is_found(name):
    _, _, false = counts(STILL[name], 100)
    assert false <= 2  # of a hundred series


def test_a_drift_is_told_from_steps():
    ramp = 1 + 0.15 * np.arange(NUM) / NUM
    rising = [noise(np.random.default_rng(seed)) * ramp for seed in range(40)]
    found = [(values, change_points(values, least=0.02)) for values in rising]
    assert all(points for _, points in found)
    assert sum(is_drift(values, points) for values, points in found) >= 36
    jumps = [somewhere(1.1)(np.random.default_rng(seed))[0] for seed in range(40)]
    assert sum(is_drift(values, change_points(values, least=0.02)) for values in jumps) <= 1


def series(values, metric="auc", *, better=True, where="") -> Series:
    moments = tuple(Moment(float(at), f"c{at}", float(value), 3) for at, value in enumerate(values))
    return Series("k", "none", metric, better, where, moments)


def test_exact_scores_that_drop_are_a_change_for_the_worse_at_the_first_one():
    (change,) = changes_of(series([0.9] * 6 + [0.88] * 2))
    assert (change.index, change.before, change.after, change.kind, change.is_better, change.p) == (6, 0.9, 0.88, "step", False, 0.0)
    assert change.relative == pytest.approx(-0.02 / 0.9)


def test_steps_in_the_good_direction_are_found_and_called_better():
    faster = [10.0, 10.1, 9.9, 10.0, 10.05, 8.0, 8.1, 7.9, 8.05, 8.0]
    (change,) = changes_of(series(faster, "time", better=False, where="here"))
    assert (change.index, change.is_better) == (5, True)
    (unknown,) = changes_of(series(faster, "steps", better=None))
    assert unknown.is_better is None


def test_a_change_below_the_least_magnitude_is_none():
    values = [0.9] * 8 + [0.8985] * 8
    assert changes_of(series(values)) == ()
    assert len(changes_of(series(values), Limits(score=0.001))) == 1
    times = [100.0, 100.2, 99.9, 100.1] * 4 + [101.0, 101.1, 100.9, 101.0] * 4
    assert changes_of(series(times, "time", better=False)) == ()
    assert len(changes_of(series(times, "time", better=False), Limits(share=0.005))) == 1


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 2.0], [0.0] * 10, [5.0, 5.0, 5.0, 5.0, 9.0]])
def test_too_few_or_equal_values_have_no_change(values):
    assert changes_of(series(values)) == ()


def test_a_drift_is_one_change_from_end_to_end():
    (drift,) = changes_of(series(np.linspace(100, 130, 40), "memory", better=False, where="here"))
    assert (drift.kind, drift.is_better) == ("drift", False)
    assert (drift.before, drift.after) == (pytest.approx(100), pytest.approx(130))


samples = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=2, max_size=12)


@settings(max_examples=30)
@given(samples, samples)
def test_doubt_is_the_larger_of_two_t_tests(first, second):
    a, b = np.array(first), np.array(second)
    assume(min(a.std(), b.std()) > 0.01)  # below, scipy warns of lost digits
    expected = max(stats.ttest_ind(a, b, equal_var=False).pvalue, stats.ttest_ind(a, b).pvalue)
    assert doubt(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_split_has_the_largest_energy_distance():
    values = np.random.default_rng(3).standard_normal(25)
    values[9:] += 2

    def energy(at: int) -> float:
        """n m / (n + m) times (2 E|X - Y| - E|X - X'| - E|Y - Y'|), by its definition."""
        x, y = values[:at], values[at:]
        between, in_x, in_y = (np.abs(a[:, None] - b[None, :]).mean() for a, b in ((x, y), (x, x), (y, y)))
        return len(x) * len(y) / len(values) * (2 * between - in_x - in_y)

    assert _largest(values) == max(range(2, len(values) - 1), key=energy)
