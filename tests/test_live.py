"""Curves while they grow: told without waiting, written as the finished curve will have them, and never twice."""

from __future__ import annotations

import io
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli import following
from benchmark.cli.following import Inbox, Wire
from benchmark.execute.curves import curve, points_between
from tests import results_factory as factory
from tests.tracked import copied, runs
from trackers.live import Growing, Live
from trackers.mlflow_store import MlflowStore
from trackers.sync import sync

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
TRAINING = SimpleNamespace(op="train", key="k" * 32)


@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_points_on_the_way_are_those_of_the_finished_curve(losses, stops):
    whole = torch.tensor(losses)
    steps = len(losses)
    ends = [0, *sorted({stop for stop in stops if stop < steps}), steps]
    found = [point for begin, end in zip(ends, ends[1:], strict=False) for point in points_between(whole, steps, begin, end)]
    parts = whole.double().tensor_split(min(100, steps))
    assert found == curve(whole)
    assert [loss for _, loss in found] == [float(part.mean()) for part in parts]


def test_the_wire_tells_whole_lines_and_never_waits():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as target:
        wire = Wire(target)
        begun = time.monotonic()
        for step in range(20_000):  # far more than a pipe holds, and nobody reads
            wire.watch(TRAINING, [(step, 0.123456789)] * 3)
        wire.watch(SimpleNamespace(op="predict", key="p"), [(1, 1.0)])
        assert time.monotonic() - begun < 5
        target.close()
        lines = source.read().splitlines()
    assert 100 < len(lines) < 20_000
    assert [json.loads(line)[1][0][0] for line in lines] == list(range(len(lines)))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as broken:
        Wire(broken).watch(TRAINING, [(1, 1.0)])  # the follower is gone: no matter


def test_the_inbox_gives_points_once_of_trainings_that_are_long(monkeypatch):
    monkeypatch.setattr(following, "LONG_SECONDS", 0.0)
    lines = [["short", [[1, 0.5]]], ["long", [[1, 0.5], [2, 0.4]]], ["short", None], ["long", [[3, 0.3]]]]
    inbox = Inbox(io.StringIO("".join(json.dumps(line) + "\n" for line in lines)))
    assert inbox.ended.wait(5)
    assert {key: each.points for key, each in inbox.take().items()} == {"long": [(1, 0.5), (2, 0.4), (3, 0.3)]}
    assert inbox.take() == {}
    monkeypatch.setattr(following, "LONG_SECONDS", 60.0)
    young = Inbox(io.StringIO(json.dumps(["young", [[1, 0.5]]]) + "\n"))
    assert young.ended.wait(5)
    assert young.take() == {}


def test_a_curve_grows_in_a_running_run_that_the_finished_cell_takes_over(tmp_path: Path, empty_tracker: Path) -> None:
    uri, results = copied(empty_tracker, tmp_path), factory.results(ratios=(10.0,), methods=("none",), seeds=2)
    cell = results.cells[0]
    waiting = replace(results, cells=tuple(factory.unfinished(each) for each in results.cells))
    live, now = Live(waiting, tmp_path, uri), time.time()
    live.write([Growing(waiting.cells[0], now, cell.curve[:1])])
    live.write([Growing(waiting.cells[0], now, cell.curve[1:2])])
    store = MlflowStore(uri, tmp_path / "artifacts")
    (run,) = runs(store, "factory", "tags.`bench.level` = 'cell'")
    assert (run.info.status, run.data.tags["bench.status"]) == ("RUNNING", "running")
    assert seen(store, run) == list(cell.curve[:2])
    (parent,) = runs(store, "factory", "tags.`bench.level` = 'configuration'")
    assert (parent.info.run_id, parent.info.status) == (run.data.tags["mlflow.parentRunId"], "RUNNING")
    sync(results, store=tmp_path, uri=uri)
    live.close()
    (again,) = runs(store, "factory", "tags.`bench.level` = 'cell' AND tags.`bench.seed` = '0'")
    assert (again.info.run_id, again.info.status, again.data.tags["bench.status"]) == (run.info.run_id, "FINISHED", "ok")
    assert seen(store, again) == list(cell.curve)
    assert len(runs(store, "factory")) == 4
    late = Live(results, tmp_path, uri)
    late.write([Growing(waiting.cells[0], now, ((999, 1.0),))])
    assert seen(store, again) == list(cell.curve), "a finished run is left alone"


def test_an_interrupted_training_is_killed_and_goes_on_without_doubles(tmp_path: Path, empty_tracker: Path) -> None:
    uri, made = copied(empty_tracker, tmp_path), factory.results(ratios=(10.0,), methods=("none",), seeds=1)
    waiting, points = replace(made, cells=(factory.unfinished(made.cells[0]),)), made.cells[0].curve
    store = MlflowStore(uri, tmp_path / "artifacts")
    for upto in (2, 3):
        live = Live(waiting, tmp_path, uri)
        live.write([Growing(waiting.cells[0], time.time(), points[:upto])])
        (run,) = runs(store, "factory", "tags.`bench.level` = 'cell'")
        assert run.info.status == "RUNNING"
        live.close()
        assert store.client.get_run(run.info.run_id).info.status == "KILLED"
    assert seen(store, run) == list(points)


def test_a_configuration_that_was_written_meanwhile_gets_no_second_run_and_none_stays_open(tmp_path: Path, empty_tracker: Path) -> None:
    uri, results = copied(empty_tracker, tmp_path), factory.results(ratios=(10.0, 20.0), methods=("none", "ros"), seeds=1)
    first, second, third, last = results.cells
    waiting = {cell.key: factory.unfinished(cell) for cell in results.cells}
    live = Live(replace(results, cells=tuple(waiting.values())), tmp_path, uri)
    live.write([Growing(waiting[first.key], time.time(), first.curve[:1])])
    sync(replace(results, cells=(waiting[first.key], second, waiting[third.key], waiting[last.key])), store=tmp_path, uri=uri)
    live.write([Growing(waiting[cell.key], time.time(), cell.curve[:1]) for cell in (second, third)])
    live.close()
    found = runs(MlflowStore(uri, tmp_path / "artifacts"), "factory", "tags.`bench.level` = 'configuration'")
    assert sorted(run.info.status for run in found) == ["FINISHED", "KILLED", "KILLED"]
    sync(results, store=tmp_path, uri=uri)
    found = runs(MlflowStore(uri, tmp_path / "artifacts"), "factory", "tags.`bench.level` != 'suite'")
    assert [run.info.status for run in found] == ["FINISHED"] * 8


def seen(store: MlflowStore, run: object) -> list[tuple[int, float]]:
    history = store.client.get_metric_history(run.info.run_id, "train_loss")  # type: ignore[attr-defined]  # an MLflow run
    return sorted((point.step, point.value) for point in history)
