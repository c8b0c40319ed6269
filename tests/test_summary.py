"""The statistics against worked formulas and scipy.stats, and the words that labels and answers use."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.answer import answer, rests_on
from benchmark.labels import label
from benchmark.records import CellResult, MetricInfo
from benchmark.summary import coverage_of, mean_of, paired_difference, shown_difference, shown_mean, summarize
from tests.results_factory import METHODS, NOISE, Value, cell, empty, metrics_of, partial, results, unfinished

UNDER_10, UNDER_100 = "step ratio=10", "step ratio=100"


def labelled(*attributes: dict[str, Value]) -> tuple[list[str], list[str]]:
    cells = [cell({"method": "none", **own}, 0) for own in attributes]
    found = label(cells)
    return [found.condition[item.config_key] for item in cells], [found.row[item.config_key] for item in cells]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20).filter(lambda values: np.ptp(values) > 1e-6))
def test_the_interval_is_the_t_interval(values: list[float]) -> None:
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    found = mean_of(values)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.sd == pytest.approx(np.std(values, ddof=1))


def test_three_values_by_hand() -> None:
    found = mean_of([0.8, 0.9, 1.0])
    assert found.mean == pytest.approx(0.9)
    assert found.half_width == pytest.approx(4.30265273 * 0.1 / math.sqrt(3))


def test_one_value_has_no_interval() -> None:
    found = mean_of([0.912])
    assert shown_mean(found) == "0.912 (n=1)"
    assert math.isnan(found.half_width)
    assert not found.excludes_zero


def test_no_value_at_all() -> None:
    assert mean_of([]).num == 0
    assert shown_mean(mean_of([])) == "–"
    assert shown_difference(mean_of([])) == "–"


def test_undefined_values_are_left_out_and_counted() -> None:
    found = mean_of([0.5, math.nan, 0.7, math.inf])
    assert (found.num, found.num_undefined) == (2, 2)
    assert found.mean == pytest.approx(0.6)


@given(st.floats(-1, 1), st.integers(2, 12))
def test_equal_values_have_a_width_of_exactly_zero(value: float, num: int) -> None:
    found = mean_of([value] * num)
    assert (found.mean, found.sd, found.half_width) == (value, 0.0, 0.0)


def test_pairs_are_taken_over_common_seeds() -> None:
    found = paired_difference({0: 0.5, 1: 0.75, 7: 0.0}, {0: 0.25, 1: 0.25, 9: 0.0})
    assert found.num == 2
    assert found.mean == pytest.approx(0.375)


def test_a_pair_with_nan_is_left_out_and_counted() -> None:
    found = paired_difference({0: 0.5, 1: math.nan}, {0: 0.25, 1: 0.25})
    assert (found.num, found.num_undefined, found.mean) == (1, 1, 0.25)


def test_pairing_removes_what_seeds_share() -> None:
    score = summarize(results()).entries[UNDER_10]["ros"].scores["auc"]
    assert score.difference is not None
    assert score.difference.mean == pytest.approx(0.02, abs=NOISE)
    assert score.difference.half_width < 0.3 * score.mean.half_width
    assert score.difference.excludes_zero


def test_a_shared_network_differs_by_a_plain_zero() -> None:
    score = summarize(results()).entries[UNDER_10]["thresholding(none)"].scores["auc"]
    assert shown_difference(score.difference) == "0"


def test_the_baseline_has_no_difference() -> None:
    entries = summarize(results()).entries[UNDER_100]
    assert entries["none"].scores["auc"].difference is None


def test_best_follows_the_direction_of_the_metric() -> None:
    summary = summarize(results())
    for metric in ("auc", "error"):
        best = summary.best(UNDER_10, metric)
        assert [entry.row for entry in best] == ["ros"]


def test_exact_ties_for_the_best_are_all_best() -> None:
    made = results(ratios=(10.0,), methods=("none", "thresholding(none)"))
    summary = summarize(made)
    (condition,) = summary.conditions
    assert [entry.row for entry in summary.best(condition, "auc")] == ["none", "thresholding(none)"]
    who, size, _ = answer(made, summary)
    assert who.startswith("none and thresholding(none) have the highest mean auc under ")
    assert size == "No method is ahead of the baseline none."


def test_tied_is_what_a_paired_interval_cannot_tell_apart() -> None:
    def noisy(made: CellResult) -> CellResult:
        shift = {"ros": 0.05 * (made.seed - 1)}.get(made.method, 0.0)
        return replace(made, metrics=metrics_of(made.metrics["auc"] + shift))

    scores = {row: entry.scores["auc"].standing for row, entry in summarize(results(change=noisy)).entries[UNDER_10].items()}
    assert scores == {"none": "tied", "ros": "leads", "thresholding(none)": "tied"}


def test_clear_losers_are_not_marked() -> None:
    entries = summarize(results()).entries[UNDER_10]
    assert entries["none"].scores["auc"].standing == ""


def test_per_class_means() -> None:
    parts = summarize(results(seeds=2)).entries[UNDER_10]["none"].parts
    assert parts["recall/dog"].mean == pytest.approx(0.805)
    assert "groups/tail" in parts
    assert "auc" not in parts


def test_coverage_counts_every_way_to_end() -> None:
    ends = [("failed", "timeout: 30 s"), ("failed", "timeout: 60 s"), ("skipped", "leaves: few"), ("blocked", "parent"), ("missing", "")]
    cells = [unfinished(cell(METHODS["none"], seed), status=status, reason=reason) for seed, (status, reason) in enumerate(ends)]
    found = coverage_of([*cells, cell(METHODS["none"], 9)])
    assert (found.planned, found.ok, found.failed, found.skipped, found.blocked, found.missing) == (6, 1, 2, 1, 1, 1)
    assert found.reasons == {"failed: timeout": 2, "skipped: leaves: few": 1, "blocked: parent": 1}
    assert not found.complete


def test_skipped_cells_leave_a_suite_complete() -> None:
    cells = [unfinished(cell(METHODS["none"], 0), status="skipped", reason="rule"), cell(METHODS["none"], 1)]
    assert coverage_of(cells).complete


def test_partial_results_use_what_is_there() -> None:
    made = partial()
    finished = [item for item in made.cells if item.status == "ok"]
    summary = summarize(made)
    assert sum(entry.scores["auc"].mean.num for entry in summary.all_entries()) == len(finished)
    assert summary.coverage.missing == len(made.cells) - len(finished)
    assert "partial" in answer(made, summary)[-1]


def test_a_failed_cell_with_leftover_metrics_does_not_count() -> None:
    made = results(change=lambda item: replace(item, status="failed") if item.seed == 0 else item)
    assert summarize(made).entries[UNDER_10]["none"].scores["auc"].mean.num == 2


def test_an_empty_suite_says_so() -> None:
    assert answer(empty(), summarize(empty())) == ("Nothing of this selection has run yet.",)


def test_a_suite_that_only_failed_says_so() -> None:
    made = results(change=lambda item: unfinished(item, status="failed", reason="timeout"))
    assert answer(made, summarize(made)) == ("Nothing of this selection has finished: 0 of 18 planned cells (partial: 18 failed).",)


def test_the_baseline_alone_is_not_compared() -> None:
    made = results(methods=("none",))
    assert answer(made, summarize(made))[1] == "Only the baseline none has finished, so there is nothing to compare it with."


def test_a_difference_without_an_interval_is_not_clear() -> None:
    made = results(ratios=(10.0,), seeds=1)
    assert answer(made, summarize(made))[1].endswith("; no difference is clear.")


def test_the_answer_names_method_size_and_ground() -> None:
    who, size, ground = answer(results(), summarize(results()))
    assert who.startswith("ros has the highest mean auc under step ratio=10 (0.9")
    assert "against none that is +0.020" in size
    assert ground == "What it costs has not been measured (`run --profile` does). This rests on 18 of 18 planned cells."


def test_the_answer_over_many_conditions_counts() -> None:
    made = results(ratios=(2.0, 5.0, 10.0, 50.0))
    who, size, _ = answer(made, summarize(made))
    assert who == "By mean auc, the best of 4 conditions is ros in 4."
    assert "all of the 95 % intervals exclude 0" in size


def test_no_baseline_no_difference() -> None:
    made = replace(results(), baseline="mixup")
    summary = summarize(made)
    assert summary.baseline is None
    assert all(score.difference is None for entry in summary.all_entries() for score in entry.scores.values())
    assert len(answer(made, summary)) == 2


def test_the_baseline_may_be_named_as_its_row_is() -> None:
    assert summarize(replace(results(), baseline="thresholding(none)")).baseline == "thresholding(none)"


def test_a_suite_without_metrics_or_cells() -> None:
    assert summarize(replace(results(), metrics=())).conditions == (UNDER_10, UNDER_100)
    nothing = replace(results(), cells=())
    assert answer(nothing, summarize(nothing)) == ("Nothing of this selection has run yet.",)


def test_lower_is_better_is_worded() -> None:
    made = replace(results(ratios=(10.0,)), metrics=(MetricInfo("error", False, ""),))
    assert answer(made, summarize(made))[0].startswith("ros has the lowest mean error under digits · step ratio=10 · lenet5 (")


def test_only_what_varies_is_named() -> None:
    conditions, _ = labelled({"imbalance.ratio": 10, "recipe.batch": 64}, {"imbalance.ratio": 100.0, "recipe.batch": 128})
    assert conditions == ["step ratio=10 · batch=64", "step ratio=100 · batch=128"]


def test_numbers_of_one_value_do_not_vary() -> None:
    assert labelled({"imbalance.ratio": 10}, {"imbalance.ratio": 10.0})[0] == ["digits · step ratio=10 · lenet5"] * 2


def test_a_single_condition_says_its_imbalance() -> None:
    assert labelled({"imbalance.ratio": 20})[0] == ["digits · step ratio=20 · lenet5"]
    assert labelled({"imbalance": "none", "imbalance.ratio": None})[0] == ["digits · natural · lenet5"]


def test_same_endings_are_told_apart() -> None:
    low = {"recipe.optimizer.gamma": 0.1, "recipe.schedule.gamma": 0.2}
    conditions, _ = labelled(low, {"recipe.optimizer.gamma": 0.3, "recipe.schedule.gamma": 0.4})
    assert conditions[0] == "optimizer.gamma=0.1 schedule.gamma=0.2"


def test_none_is_left_unsaid() -> None:
    assert labelled({"dataset.cap": None}, {"dataset.cap": 100})[0] == ["digits", "digits cap=100"]


def test_methods_show_their_base_and_what_varies() -> None:
    thresholding = {"method": "thresholding", "method.base": "ros"}
    _, rows = labelled(
        {"method": "ros", "method.ratio": 1.0},
        {"method": "ros", "method.ratio": 2.0},
        {"method": "rus", "method.ratio": 1.0},
        thresholding | {"method.base.ratio": 1.0},
        thresholding | {"method.base.ratio": 3.0},
    )
    assert rows == ["ros ratio=1", "ros ratio=2", "rus", "thresholding(ros ratio=1)", "thresholding(ros ratio=3)"]


def test_long_values_are_cut_and_stay_apart() -> None:
    long = "[" + "100," * 30
    conditions, _ = labelled({"imbalance.counts": long + "1]"}, {"imbalance.counts": long + "2]"})
    assert len(set(conditions)) == 2
    assert all(len(text) < 60 for text in conditions)


@given(st.lists(st.fixed_dictionaries({f"imbalance.{key}": st.sampled_from([1, 2.0, True, None, "2"]) for key in "ab"}), max_size=6))
def test_labels_differ_exactly_where_meanings_do(attributes: list[dict[str, Value]]) -> None:
    conditions, _ = labelled(*attributes)
    meanings = [tuple((type(value) is bool, type(value) is str, value) for _, value in sorted(item.items())) for item in attributes]
    assert len(set(conditions)) == len(set(meanings))


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.01, 0.03], "+0.020 ± 0.127"), ([-0.01, -0.03], "−0.020 ± 0.127"), ([0.5], "+0.500 (n=1)"), ([0.0], "0 (n=1)"), ([0.0, 0.0], "0")],
)
def test_differences_carry_their_sign(values: list[float], text: str) -> None:
    assert shown_difference(mean_of(values)) == text


def test_small_intervals_are_not_rounded_away() -> None:
    assert shown_mean(mean_of([0.99994, 0.99996])) == "0.99995 ± 0.00013"


def test_the_summary_imports_nothing_heavy() -> None:
    code = (
        "import benchmark.answer, sys; print([m for m in ('torch', 'pandas', 'matplotlib', 'sklearn', 'scipy.stats') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_rests_on_names_every_kind() -> None:
    made = results(change=lambda item: unfinished(item, status="failed", reason="timeout") if item.seed == 2 else item)
    assert rests_on(summarize(made).coverage) == "12 of 18 planned cells (partial: 6 failed)"


def test_without_tests_the_numbers_are_the_same():
    made = results()
    tested, plain = summarize(made), summarize(made, tested=False)
    assert any(score.test for entry in tested.all_entries() for score in entry.scores.values())
    for entry, other in zip(tested.all_entries(), plain.all_entries(), strict=True):
        for name, score in entry.scores.items():
            assert other.scores[name] == replace(score, standing="", test=None)
