"""Layouts and execution profiles: how one is chosen from measurements, what is refused, what is kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import small

from benchmark.execution import (
    MARGIN,
    Chooser,
    ProbeError,
    candidate_executions,
    candidate_layouts,
    choose,
    choose_layout,
    default_layout,
    measure,
    signature,
    standard_stage,
)
from benchmark.machine import Measurements
from benchmark.tasks import FIXED, Slot

PLAIN, OTHER = FIXED, replace(FIXED, channels_last=False)
COMPILED = replace(FIXED, compiled=True)
SLOT = Slot("worker 1")


def measured(execution, seconds, *, difference=0.0, first=0.1):
    return {"execution": asdict(execution), "seconds_per_step": seconds, "difference": difference, "first_seconds": first}


def test_the_fastest_is_chosen_if_it_beats_the_reference_clearly():
    clear = choose([measured(PLAIN, 1.0), measured(OTHER, 0.9)], "float32", 60.0, "x")
    assert (clear.execution, clear.regret) == (OTHER, 1.0)
    narrow = choose([measured(PLAIN, 1.0), measured(OTHER, 1.0 - MARGIN / 2)], "float32", 60.0, "x")
    assert narrow.execution == PLAIN
    assert narrow.regret == pytest.approx(1 / (1 - MARGIN / 2))


def test_a_candidate_that_computes_something_else_is_rejected(caplog):
    found = choose([measured(PLAIN, 1.0), measured(OTHER, 0.1, difference=2e-3)], "float32", 60.0, "x")
    assert found.execution == PLAIN
    assert "not equivalent to the reference" in caplog.text
    assert choose([measured(PLAIN, 1.0), measured(OTHER, 0.1, difference=2e-3)], "bf16", 60.0, "x").execution == OTHER
    with pytest.raises(ProbeError, match="no execution profile"):
        choose([measured(PLAIN, 1.0, difference=1.0)], "float32", 60.0, "x")


def test_compiling_must_pay_back_twice_what_it_takes():
    some = [measured(PLAIN, 1.0), measured(COMPILED, 0.5, first=30.0)]
    assert choose(some, "float32", 119.0, "x").execution == PLAIN  # it would save 59.5 s
    assert choose(some, "float32", 121.0, "x").execution == COMPILED


def test_compiling_is_tried_only_where_much_is_left():
    assert [each.compiled for each in candidate_executions(SLOT, 60.0)] == [False, False]
    assert candidate_executions(replace(SLOT, threads=2), 0.0)[0] == replace(FIXED, threads=2)


def test_layouts_use_all_cores_and_the_robust_one_wins_a_tie():
    assert candidate_layouts(4) == [(4, 1), (2, 2), (1, 4)]
    assert candidate_layouts(1) == [(1, 1)]
    near = choose_layout({"2 x 1": 96.0, "1 x 2": 100.0})
    assert (near.workers, near.threads) == (2, 1)
    assert "fewer threads" in near.why
    clear = choose_layout({"2 x 1": 90.0, "1 x 2": 100.0})
    assert (clear.workers, clear.threads, clear.why) == (1, 2, "measured to be fastest")


def test_what_was_measured_is_kept_for_this_machine_and_read_again(tmp_path):
    known = Measurements.load(tmp_path)
    assert known.content == {}
    assert default_layout(known).threads == 1
    known.keep("layout", "cpu", asdict(choose_layout({"2 x 1": 1.0, "1 x 2": 2.0})))
    again = Measurements.load(tmp_path)
    assert (default_layout(again).workers, default_layout(again).threads) == (1, 2)
    again.file.write_text("{ damaged")
    assert Measurements.load(tmp_path).content == {}
    other = Measurements(again.file, {**again.machine, "torch": "9.9"}, {})
    assert other.content == {}


def test_a_profile_is_chosen_once_and_then_the_same_for_all_of_its_kind(tmp_path):
    planned, ledger = small.plan(tmp_path, small.cells(["none", "ros"], seeds=range(2)))
    ledger.close()
    trainings = [stage for stage in planned.stages.values() if stage.op == "train"]
    assert len({signature(stage, SLOT) for stage in trainings}) == 1
    assert signature(trainings[0], replace(SLOT, threads=2)) != signature(trainings[0], SLOT)
    known = Measurements.load(tmp_path)
    known.keep("execution", signature(trainings[0], SLOT), {"execution": asdict(OTHER)})
    chooser = Chooser(Measurements.load(tmp_path))
    assert {chooser.execution(stage, SLOT) for stage in planned.stages.values()} == {OTHER}
    assert chooser.prepare(trainings, SLOT) == []  # too little to do, and known
    assert Chooser(Measurements(known.file, {}, {})).execution(trainings[0], SLOT) == FIXED


@pytest.mark.slow
def test_candidates_are_measured_for_real_and_agree_with_the_reference():
    found = measure(standard_stage(), SLOT, candidate_executions(SLOT, 0.0))
    assert [each["execution"] for each in found] == [asdict(PLAIN), asdict(OTHER)]
    assert all(each["seconds_per_step"] > 0 and each["peak_host_mib"] > 50 for each in found)
    assert found[0]["difference"] == 0.0  # the reference is itself a candidate
    assert found[1]["difference"] < 1e-3


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="no autogroups in this kernel")
def test_who_gives_way_does_so_against_other_sessions_too():
    code = (
        "from benchmark.machine import give_way; give_way(); import os; print(os.nice(0), open('/proc/self/autogroup').read().split()[-1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, start_new_session=True)
    assert done.stdout.split() == ["19", "19"]
