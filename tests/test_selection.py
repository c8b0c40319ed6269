"""Choosing among runs: the right ones, by the right scores, marked as what they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from results_factory import results

from benchmark.evidence import Selection
from benchmark.history import derived
from benchmark.records import DERIVED, CellResult, SuiteResults
from benchmark.selection import chosen, told
from benchmark.summary import summarize
from reports.write import PAGE, build_files


def tuned(*rules: str, over: tuple[str, ...] = ("recipe.optimizer.lr",), seeds: int = 3) -> SuiteResults:
    """Two learning rates per method: 0.1 is better on validation by 0.01, 0.01 is better on test by 0.02."""

    def at(made: CellResult, lr: float) -> CellResult:
        test = made.metrics["auc"] + (0.02 if lr == 0.01 else 0.0)
        metrics = {**made.metrics, "auc": test, "validation.auc": made.metrics["auc"] + (0.01 if lr == 0.1 else 0.0)}
        attributes = {**made.attributes, "recipe.optimizer.lr": lr}
        return replace(made, attributes=attributes, metrics=metrics, key=f"{made.key}{lr}", config_key=f"{made.config_key}{lr}")

    made = results(seeds=seeds, ratios=(10.0,))
    cells = tuple(at(cell, lr) for lr in (0.1, 0.01) for cell in made.cells)
    return replace(made, cells=cells, select=Selection(rules, over))


def test_the_test_part_and_the_validation_part_choose_differently():
    found = chosen(tuned("test.auc", "validation.auc")).cells
    assert len(found) == 18
    by = {cell.attributes["selection"]: cell for cell in found if cell.method == "none" and cell.seed == 0}
    assert set(by) == {"best on test (oracle)", "best on validation"}
    assert by["best on test (oracle)"].key.endswith("0.01")
    assert by["best on validation"].key.endswith("0.1")
    assert all("recipe.optimizer.lr" not in cell.attributes for cell in found)


def test_choosing_by_validation_never_looks_at_the_test_scores():
    made = tuned("validation.auc")
    blind = replace(made, cells=tuple(replace(c, metrics={k: v for k, v in c.metrics.items() if k != "auc"}) for c in made.cells))
    assert [cell.key for cell in chosen(made).cells] == [cell.key for cell in chosen(blind).cells]


def test_the_best_single_run_counts_where_seeds_are_chosen_among_too():
    made = tuned("test.auc", over=("recipe.optimizer.lr", "seed"))
    found = chosen(made).cells
    assert len(found) == 3
    best = max((cell for cell in made.cells if cell.method == "none"), key=lambda cell: cell.metrics["auc"])
    assert next(cell for cell in found if cell.method == "none").key == best.key


def test_all_seeds_of_a_rate_are_taken_together_and_failed_ones_do_not_choose():
    made = tuned("test.auc")
    broken = tuple(replace(c, status="failed") if c.attributes["recipe.optimizer.lr"] == 0.01 and c.seed else c for c in made.cells)
    found = [cell for cell in chosen(replace(made, cells=broken)).cells if cell.method == "none"]
    assert {cell.seed for cell in found} == {0, 1, 2}


def test_where_nothing_is_selected_nothing_changes():
    made = results()
    assert chosen(made) is made
    assert told(made) == ""
    twice = chosen(chosen(tuned("test.auc")))
    assert twice.cells == chosen(tuned("test.auc")).cells


def test_comparisons_stay_within_a_choice_and_say_which():
    summary = summarize(tuned("test.auc", "validation.auc"))
    assert len(summary.conditions) == 2
    assert all("digits" in condition and "best on" in condition for condition in summary.conditions)
    assert sum("oracle" in condition for condition in summary.conditions) == 1
    assert summary.coverage.planned == 18
    (oracle,) = (condition for condition in summary.conditions if "oracle" in condition)
    (honest,) = set(summary.conditions) - {oracle}
    means = [summary.entries[condition]["none"].scores["auc"].mean.mean for condition in (oracle, honest)]
    assert means[0] - means[1] == pytest.approx(0.02)


def test_the_page_says_what_was_chosen_and_how_often_the_test_part_was_read():
    page = build_files(tuned("test.auc", "validation.auc"))[PAGE].decode()
    assert "best on test (oracle) by auc and, beside it, best on validation by auc" in page
    assert "read 18 times" in page
    assert "oracle" not in told(tuned("validation.auc"))


def test_what_a_history_gives_are_the_metrics_that_claims_know():
    assert tuple(derived({"train.accuracy": [(1, 0.5)], "test.accuracy": [(1, 0.4)]})) == DERIVED
