"""What `plan --power` says: with deviations, without, without a baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmark.cli.power import power_document, power_lines
from benchmark.power import detectable, deviations
from benchmark.records import CellResult
from benchmark.summary import summarize
from tests.results_factory import metrics_of, results, unfinished


def noisy(made: CellResult) -> CellResult:
    shift = [0.0, 0.01, -0.02, 0.015, 0.03][made.seed] if made.method == "ros" else 0.0
    return replace(made, metrics=metrics_of(0.8 + shift)) if made.seed < 3 else unfinished(made)


def test_the_deviations_so_far_say_what_the_planned_seeds_detect() -> None:
    made = results(seeds=5, change=noisy)
    (found,) = deviations(summarize(made), "auc")
    lines = power_lines(made)
    assert lines[0].startswith("Power: what 5 seeds detect in one condition, with probability 80%")
    assert lines[1] == f"  ros: ≥ {found.sd * detectable(5):.2g} (deviation {found.sd:.2g}, 6 pairs in 2 conditions)"
    assert f"10 seeds {found.sd * detectable(10):.2g}" in lines[2]
    assert lines[-1] == "The exact paired test cannot go below p = 0.0625 with 5 seeds: it needs 6 to reach 0.05."
    document = power_document(made)
    assert document["seeds"] == 5
    (row,) = document["methods"]  # type: ignore[misc]  # JSON
    assert row["smallest"] == pytest.approx(found.sd * detectable(5))


def test_without_results_it_is_said_in_deviations_and_what_to_do() -> None:
    text = " ".join(power_lines(results(seeds=6, change=unfinished)))
    assert f"differences of {detectable(6):.2f} deviations" in text
    assert "--seeds 2" in text
    assert "can reach p = 0.031" in text


def test_without_a_baseline_there_is_nothing_to_detect() -> None:
    assert "no baseline 'nobody'" in power_lines(replace(results(), baseline="nobody"))[0]
    assert power_lines(replace(results(), metrics=())) == ["Power: the suite has no metric."]
