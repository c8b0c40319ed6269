"""Suites as cells: pairs of a suite and its expected cells, counts, limits, order and speed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cells import Cell
from benchmark.errors import UserError
from benchmark.grid import count, expand
from benchmark.spec import read_suite, shipped

GOOD = sorted((Path(__file__).parent / "suite_files" / "good").glob("*.yaml"))


def row(cell: Cell, columns: list[str]) -> list[Any]:
    """The columns of a cell; an attribute that it does not have is null."""
    every = {**cell.config.attributes, "seed": cell.seed, "skip": cell.skip}
    return [every.get(column) for column in columns]


def cells_of(folder: Path, text: str, **options: Any) -> tuple[Cell, ...]:
    path = folder / "suite.yaml"
    path.write_text(text)
    return expand(read_suite(str(path)), **options)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_suite_expands_to_exactly_these_cells(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    suite = read_suite(str(path), overrides=expected.get("set", ()))
    cells = expand(suite, only=expected.get("only", ()))
    assert [row(cell, expected["columns"]) for cell in cells] == expected["rows"]
    assert count(suite) >= len(cells)


@pytest.mark.parametrize(("name", "size"), [("quickstart", 18), ("fashion-step", 36), ("smoke", 6)])
def test_shipped_suites_have_the_cells_that_their_comments_say(name: str, size: int) -> None:
    suite = read_suite(name)
    assert len(expand(suite)) == count(suite) == size
    assert suite.path == shipped()[name]


def test_every_shipped_suite_is_named_like_its_file() -> None:
    for name in shipped():
        suite = read_suite(name)
        assert suite.name == name.replace("/", "-")
        assert suite.question


def test_seeds_from_the_command_line_replace_every_other(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("suite: s\nseeds: 5\ndefaults: {seeds: 4, dataset: digits, model: lenet5}\ngrid: [{seeds: 3}, {method: ros}]\n")
    suite = read_suite(str(path), seeds=2)
    assert [cell.seed for cell in expand(suite)] == [0, 1, 0, 1]
    assert suite.settings == ("seeds=2",)


def test_a_million_cells_are_counted_and_refused_without_being_built(tmp_path: Path) -> None:
    path = tmp_path / "million.yaml"
    values = list(range(1, 101))
    path.write_text(f"suite: million\nseeds: 1000000000000\ngrid: {{dataset: digits, model: lenet5, recipe: {{batch: {values}}}}}\n")
    suite = read_suite(str(path))
    assert count(suite) == 100 * 10**12
    with pytest.raises(UserError, match=r"suite 'million' has 100,000,000,000,000 cells, more than 100,000: pass --yes"):
        expand(suite)


def test_axes_too_large_to_write_out_are_still_counted(tmp_path: Path) -> None:
    axis = [f"0.{value}" for value in range(10, 99)]
    sgd = f"{{lr: [{', '.join(axis)}], momentum: [{', '.join(axis)}], weight_decay: [{', '.join(axis)}]}}"
    path = tmp_path / "big.yaml"
    path.write_text(
        f"suite: big\ngrid: {{dataset: digits, model: lenet5}}\nrecipe: {{optimizer: {{sgd: {sgd}}}, l1: [{', '.join(axis)}]}}\n"
    )
    assert count(read_suite(str(path))) == 89**4


def test_the_limit_can_be_lifted(tmp_path: Path) -> None:
    text = "suite: s\nseeds: 20\ngrid: {dataset: digits, model: lenet5}\n"
    with pytest.raises(UserError, match="20 cells, more than 10"):
        cells_of(tmp_path, text, limit=10)
    assert len(cells_of(tmp_path, text, limit=None)) == 20


def test_only_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(UserError, match="no cell of suite 'smoke' matches --only method=rus"):
        expand(read_suite("smoke"), only=["method=rus"])


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("method", "--only method: expected `attribute=value`"),
        ("method=rsu", "unknown method 'rsu'. Did you mean 'rus'?"),
        ("imbalance.ratoi=3", "unknown attribute 'imbalance.ratoi'. Did you mean 'imbalance.ratio'?"),
        ("ratio=3", "Did you mean 'method.ratio'?"),
        ("seed=>= two", "expected a number after '>=', found 'two'"),
        ("method={a: 1}", "expected a value"),
        ("method=ros,rus", "--only method=ros,rus: a list is written in brackets: `--only 'method=[ros,rus]'`."),
        ("method=[", "--only method=[: not valid YAML"),
        ("method=> 3", "expected a method's name"),
        ("imbalance.ratio>=", "expected a value after '>=', found ''"),
    ],
)
def test_a_wrong_only_is_an_error_that_repeats_it(only: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        expand(read_suite("smoke"), only=[only])
    assert message in str(caught.value)


@pytest.mark.parametrize("only", ["method!=none", "method != none", "method=!= none", "method=[ros, thresholding]"])
def test_only_may_compare(only: str) -> None:
    assert {cell.config.method.name for cell in expand(read_suite("smoke"), only=[only])} == {"ros", "thresholding"}


def test_several_only_that_leave_nothing_say_that_all_must_hold() -> None:
    with pytest.raises(UserError, match="--only method=ros --only method=none. All of them must hold"):
        expand(read_suite("smoke"), only=["method=ros", "method=none"])


def test_a_count_leaves_out_what_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("suite: s\ngrid: [{method: [none, none, ros]}, {method: {none: {}}}]\ndefaults: {dataset: digits, model: lenet5}\n")
    suite = read_suite(str(path))
    assert count(suite) == len(expand(suite)) == 2
    assert suite.grids[0].size == 2


def test_equal_parts_are_the_same_objects() -> None:
    cells = expand(read_suite("fashion-step"))
    assert len({id(cell.config) for cell in cells}) == 12
    assert len({id(cell.config.recipe) for cell in cells}) == 1
    assert len({id(cell.config.imbalance) for cell in cells}) == 2


@settings(max_examples=25, deadline=None)
@given(st.permutations(["dataset: digits", "model: lenet5", "method: [none, ros]", "seeds: 2", "imbalance: {linear: {ratio: [2, 3]}}"]))
def test_the_order_of_keys_changes_nothing(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    text = "suite: s\ngrid:\n" + "".join(f"  {line}\n" for line in lines)
    found = [row(cell, ["imbalance.ratio", "method", "seed"]) for cell in cells_of(tmp_path_factory.mktemp("s"), text)]
    assert found == [[ratio, method, seed] for ratio in (2, 3) for method in ("none", "ros") for seed in (0, 1)]


def test_twenty_two_thousand_cells_expand_well_within_two_seconds(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(
        "suite: large\nseeds: 50\ngrid:\n  dataset: mnist\n  model: lenet5\n  method: [none, ros, rus, thresholding, class-weights]\n"
        "  imbalance:\n    - step: {ratio: [2, 5, 10, 20, 50, 100, 200, 500, 1000], minority: [.1, .2, .3, .4, .5, .6, .7, .8, .9]}\n"
        "    - linear: {ratio: [2, 5, 10, 20, 50, 100, 200, 500, 1000]}\n"
        "exclude:\n  - {when: {method: rus, imbalance.ratio: '>= 500', seed: '> 9'}, because: too few}\n"
    )
    began = time.perf_counter()
    cells = expand(read_suite(str(path)))
    assert time.perf_counter() - began < 2
    assert len(cells) == 22_500
    assert sum(cell.skip != "" for cell in cells) == 2 * 10 * 40


def test_what_is_selected_can_be_set_from_the_command_line():
    setting = "select={by: validation.auc, over: [recipe.optimizer.lr]}"
    assert read_suite("buda2018-cifar10").select.over == ("recipe.optimizer.lr", "seed")
    chosen = read_suite("buda2018-cifar10", overrides=[setting]).select
    assert (chosen.by, chosen.over) == (("validation.auc",), ("recipe.optimizer.lr",))
