"""Prices: from what such stages took, or from a probe; budgets in complete sets of seeds; nothing invented."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
import small

from benchmark.budget import fit
from benchmark.errors import UserError
from benchmark.places import default_folders
from benchmark.plan import make_plan, needed
from benchmark.price import HEAD_SHARE, Bill, History, bill, cell_price, kind, units
from benchmark.rows import Past
from benchmark.stages import Stage

HERE = {"host": socket.gethostname(), "device": "cpu", "execution": "fixed"}
METHODS = ("none", "ros", {"thresholding": {"base": "ros"}}, {"two-phase": {"base": "ros"}})


def planned(methods=METHODS, **cells):
    return make_plan("small", small.cells(methods, **cells), default_folders(None), None, scoring="")


def how(_: Stage) -> tuple[str, str]:
    return "cpu", "fixed"


def past(stage: Stage, seconds: float, **context: object) -> Past:
    return Past(stage.key, stage.parent.key if stage.parent else None, stage.op, stage.config, {"seconds": seconds}, {**HERE, **context})


def history(plan, *, per_image: float = 1e-3, **context: object) -> History:
    """Every stage of a plan took as long as its images times `per_image`."""
    return History([past(stage, per_image * units(stage), **context) for stage in plan.stages.values()])


def billed(plan, known: History, **options) -> Bill:
    return bill(plan, needed(plan, {}), known, how, slots=options.pop("slots", 1), **options)


def test_work_without_a_past_has_no_price():
    made = billed(planned(), History([]))
    assert {stage.op for stage in made.unknown} == {"train", "predict", "features", "finetune"}
    assert made.sharing_unit == "forward passes"
    assert cell_price(made, next(iter(made.todo))) is None


def test_seconds_follow_the_work():
    known = history(planned(iterations=5))
    longer = billed(planned(iterations=50), known)
    price = {stage.op: longer.seconds[stage.key] for stage in longer.todo}
    assert price["train"].seconds == pytest.approx(1e-3 * 50 * 16)
    assert price["predict"].seconds == pytest.approx(1e-3 * units(next(s for s in planned().stages.values() if s.op == "predict")))
    assert price["train"].low < price["train"].seconds < price["train"].high
    assert not longer.unknown


def test_a_second_run_of_a_suite_is_priced_within_a_quarter():
    """Noise of a tenth on every stage: the sum is close, and inside its interval."""
    plan = planned(seeds=range(4))
    noisy = History([past(stage, 1e-3 * units(stage) * (0.9 if i % 2 else 1.1)) for i, stage in enumerate(plan.stages.values())])
    made = billed(plan, noisy)
    truth = sum(1e-3 * units(stage) for stage in made.todo if stage.op != "adjust")
    assert made.work.seconds == pytest.approx(truth, rel=0.25)
    assert made.work.low <= truth <= made.work.high


def test_other_machines_and_other_kinds_tell_nothing():
    assert billed(planned(), history(planned(), host="elsewhere")).unknown
    assert billed(planned(), history(planned(model={"small-cnn": {"width": 4}}))).unknown
    assert kind(next(iter(planned().stages.values())).config) != kind(next(iter(planned(batch=8).stages.values())).config)


def test_another_execution_profile_tells_something_with_a_wider_interval():
    same, other = (billed(planned(), history(planned(), execution=name)) for name in ("fixed", "compiled"))
    assert other.work.seconds == pytest.approx(same.work.seconds)
    assert other.work.high > same.work.high


def test_a_probe_prices_what_never_ran():
    plan = planned(["none", {"two-phase": {"base": "none"}}])
    train = next(iter(plan.stages.values()))
    probe = {"seconds_per_step": 0.16, "batch": 16, "seconds_per_image": 0.002, "execution": "fixed"}
    probe |= {"peak_host_mib": 300.0, "peak_device_mib": None}
    made = billed(plan, History([], {f"{kind(train.config)} cpu": probe}))
    price = {stage.op: made.seconds[stage.key].seconds / units(stage) for stage in made.todo}
    assert price["train"] == pytest.approx(0.01)
    assert price["predict"] == price["features"] == pytest.approx(0.002)
    assert price["finetune"] == pytest.approx(HEAD_SHARE * 0.01)
    assert made.wall.host_mib == 300.0


def test_sharing_is_what_the_cells_would_cost_alone_over_what_they_cost_together():
    """none, ros, thresholding on ros: three trainings and predictions alone, two of each together."""
    plan = planned(["none", "ros", {"thresholding": {"base": "ros"}}])
    assert billed(plan, history(plan)).sharing == pytest.approx(3 / 2)
    apart = make_plan("small", small.cells(METHODS), default_folders(None), None, scoring="", share=False)
    assert billed(apart, history(apart)).sharing == pytest.approx(1.0)


def test_the_wall_is_no_shorter_than_the_longest_chain():
    plan = planned(["none"], seeds=range(4))
    one, four, many = (billed(plan, history(plan), slots=slots, overhead=2.0) for slots in (1, 4, 400))
    assert four.wall.seconds - 2 == pytest.approx((one.wall.seconds - 2) / 4)
    assert many.wall.seconds == pytest.approx(four.wall.seconds)


def test_a_cell_alone_costs_its_whole_chain():
    plan = planned(["ros", {"thresholding": {"base": "ros"}}])
    made = billed(plan, history(plan))
    ros, thresholding = (cell_price(made, cell.work.last).seconds for cell in plan.cells)
    assert ros == thresholding == pytest.approx(sum(made.seconds[s.key].seconds for s in plan.cells[0].work.last.chain))


def test_a_budget_keeps_complete_sets_of_seeds_and_says_what_it_drops():
    plan = planned(["none", "ros"], seeds=range(4))
    made = billed(plan, history(plan))
    each = made.work.seconds / 4
    kept = fit(plan, made, 2.5 * each)
    assert [(cell.config.method.name, cell.seed) for cell in kept.cells] == [("none", 0), ("none", 1), ("ros", 0), ("ros", 1)]
    assert kept.seconds == pytest.approx(2 * each)
    (dropped,) = kept.dropped
    assert dropped.endswith("2 seeds dropped")
    assert len(fit(plan, made, 100 * each).cells) == 8
    with pytest.raises(UserError, match="not enough for one seed"):
        fit(plan, made, each / 2)


def test_a_budget_without_prices_is_refused():
    plan = planned(["none"])
    with pytest.raises(UserError, match="--probe"):
        fit(plan, billed(plan, History([])), 60.0)


def test_what_is_done_costs_nothing():
    plan = planned(["none"], seeds=range(2))
    made = replace(billed(plan, history(plan), overhead=5.0), todo=())
    assert (made.wall.seconds, made.work.seconds) == (0.0, 0.0)
