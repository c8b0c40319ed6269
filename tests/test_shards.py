"""Machines that know nothing of each other: a plan split over them, and their stores brought together again."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
import small
from test_run import contents

from benchmark.errors import UserError
from benchmark.ledger import Ledger
from benchmark.merge import merge
from benchmark.places import default_folders
from benchmark.plan import make_plan
from benchmark.price import FORWARD, units
from benchmark.shards import Shard, parse_shard, part

METHODS = ("none", "ros", "rus", {"thresholding": {"base": ["none", "ros"][1]}}, {"two-phase": {"base": "ros"}})


def planned(cells):
    return make_plan("small", cells, default_folders(None), None, scoring="")


def ids(cells):
    return Counter((cell.config.method.text, cell.seed) for cell in cells)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_every_cell_stands_in_one_shard_and_no_stage_in_two(count):
    cells = small.cells(METHODS, seeds=range(4))
    parts = [part(planned(cells), Shard(index + 1, count)) for index in range(count)]
    assert sum((ids(each) for each in parts), Counter()) == ids(cells)
    stages = [set(planned(each).stages) for each in parts if each]
    assert sum(map(len, stages)) == len(set().union(*stages))


def test_shards_have_about_the_same_work():
    plan = planned(small.cells(METHODS, seeds=range(6)))
    loads = []
    for index in range(3):
        stages = planned(part(plan, Shard(index + 1, 3))).stages.values()
        loads.append(sum(FORWARD[stage.op] * units(stage) for stage in stages))
    assert max(loads) / min(loads) < 1.3


@pytest.mark.parametrize("text", ["", "2", "0/3", "4/3", "a/b", "-1/2", "1/2/3"])
def test_a_shard_that_cannot_be_is_refused(text):
    with pytest.raises(UserError, match="expected i/n"):
        parse_shard(text)


@pytest.fixture(scope="module")
def two_shards(tmp_path_factory):
    """The stores of two machines, and that of one that has done everything."""
    folder = tmp_path_factory.mktemp("shards")
    cells = small.cells(METHODS, seeds=range(2))
    for index in (1, 2):
        small.run(folder / str(index), part(planned(cells), Shard(index, 2)))
    small.run(folder / "whole", cells)
    return folder


def test_merged_shards_are_what_one_machine_would_have_made(two_shards, tmp_path):
    done = merge(tmp_path / "all", [two_shards / "1", two_shards / "2"])
    assert done.problems == []
    assert contents(tmp_path / "all") == contents(two_shards / "whole")
    again = merge(tmp_path / "all", [two_shards / "2", two_shards / "1"])
    assert again.counts["stages copied"] == again.counts["cells copied"] == 0
    assert contents(tmp_path / "all") == contents(two_shards / "whole")


def test_a_damaged_file_is_left_out_and_named(two_shards, tmp_path):
    shutil.copytree(two_shards / "1", tmp_path / "1")
    victim = sorted((tmp_path / "1" / "arrays").rglob("*.safetensors"))[0]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    done = merge(tmp_path / "all", [tmp_path / "1"])
    assert len(done.problems) == 1
    assert "left out" in done.problems[0]
    with Ledger(tmp_path / "all") as ledger:
        assert victim.stem not in ledger.stages()


def test_what_is_no_store_is_refused(two_shards, tmp_path):
    with pytest.raises(UserError, match="no store"):
        merge(tmp_path, [tmp_path / "nothing"])
    with pytest.raises(UserError, match="merged into"):
        merge(two_shards / "1", [two_shards / "1"])
