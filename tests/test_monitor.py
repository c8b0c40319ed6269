"""Watching a training: it changes no bit, sees what is there, costs what it says, and is claimed by nobody else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import small
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmark import registry
from benchmark.draw import Split, draw
from benchmark.execute import loop
from benchmark.execute.loop import TrainingSet, train
from benchmark.execute.measure import cut
from benchmark.execute.monitor import Monitor, _spaced, monitor_of
from benchmark.history import derived
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.price import units
from benchmark.recipe import MONITORED, Recipe
from benchmark.rows import cell_result


def recipe(**given_values: Any) -> Recipe:
    return registry.build_fields(Recipe, given_values, what="recipe")


@given(st.integers(1, 100_000), st.integers(1, 200))
def test_points_are_evenly_spread_and_the_last_is_the_end(steps: int, monitor: int) -> None:
    at = recipe(monitor=monitor).monitored_steps(steps)
    assert len(at) == min(monitor, steps)
    assert (at[0] > 0, at[-1]) == (True, steps)
    gaps = np.diff([0, *at])
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_points_of_a_usual_training_are_round() -> None:
    assert recipe(monitor=4).monitored_steps(1000) == (250, 500, 750, 1000)
    assert recipe().monitored_steps(1000) == ()


@given(st.integers(1, 3000), st.integers(1, 500))
def test_of_many_images_some_are_looked_at_evenly_spaced(number: int, limit: int) -> None:
    rows = np.arange(number, dtype=np.int64) * 3
    found = _spaced(rows, limit)
    assert len(found) == min(number, limit)
    assert set(found) <= set(rows)
    gaps = np.diff(found)
    assert len(gaps) == 0 or (gaps.min() > 0 and gaps.max() - gaps.min() <= 3)


# -- no trace


class Noisy(nn.Module):
    """Dropout, running statistics, and random numbers even where it is only evaluated."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(12, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(images))
        return logits + 1e-3 * torch.randn_like(logits)


def trained(watched: tuple[int, ...], *, steps: int = 120) -> Any:
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (90, 1, 4, 4), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, 3, (90,), generator=random)
    model, rows = Noisy(), torch.arange(60)
    watch = Monitor(watched, images, labels, {"train": rows, "test": torch.arange(60, 90)}) if watched else None
    torch.manual_seed(5)
    done = train(
        model, TrainingSet(images, labels, rows), recipe(batch=8, schedule="cosine"), nn.CrossEntropyLoss(), steps=steps, seed=3,
        progress=lambda *_: None, watch=watch,
    )  # fmt: skip
    return model.state_dict(), done.losses, torch.get_rng_state(), watch, done.profile


@pytest.mark.parametrize("at", [(120,), (7, 50, 51, 100, 120), tuple(range(1, 121))], ids=["the end", "anywhere", "every step"])
def test_a_watched_training_is_the_same_to_the_bit(at: tuple[int, ...]) -> None:
    weights, losses, state, _, _ = trained(())
    watched, watched_losses, watched_state, monitor, _ = trained(at)
    assert [step for step, _ in monitor.history["test.accuracy"]] == list(at)
    assert all(torch.equal(weights[name], watched[name]) for name in weights), "running statistics among them"
    assert torch.equal(losses, watched_losses)
    assert torch.equal(state, watched_state)


def test_cells_are_the_same_watched_or_not(tmp_path) -> None:
    """Predictions to the byte, in keys of their own; the random streams of every stage know nothing of the monitor."""
    methods = ["ros", {"two-phase": {"base": "ros"}}]
    options: dict[str, Any] = {"iterations": 60, "model": {"small-cnn": {"width": 2, "dropout": 0.3}}}
    files, keys, streams = [], [], []
    for monitor in (0, 7):
        some = small.cells(methods, monitor=monitor, **options)
        small.run(tmp_path / str(monitor), some, keep_weights=True)
        planned, ledger = small.plan(tmp_path / str(monitor), some)
        stages = planned.stages.values()
        with ledger:
            files.append([ledger.stage(stage.key).file.sha256 for stage in stages])  # type: ignore[union-attr]  # all are done
        keys.append({stage.key for stage in stages})
        streams.append([stage.stream_key for stage in stages])
        if not monitor:
            assert streams[0] == [stage.science_key for stage in stages], "as it was before there was a monitor"
    assert files[0] == files[1]
    assert not keys[0] & keys[1]
    assert streams[0] == streams[1]
    assert len(set(streams[0])) == len(streams[0])


# -- what it sees


def test_what_it_sees_is_the_accuracy_on_the_images_before_sampling(tmp_path) -> None:
    """At the end by the stored weights; the test accuracy is the one that the cell is scored with."""
    some = small.cells(["ros"], iterations=60, monitor=4)
    (result,) = small.run(tmp_path, some, keep_weights=True).cells
    assert [step for step, _ in result.history["train.accuracy"]] == [15, 30, 45, 60]
    assert result.history["test.accuracy"][-1] == (60, result.metrics["accuracy"])
    planned, ledger = small.plan(tmp_path, some)
    with ledger:
        weights = ledger.arrays(ledger.stage(planned.cells[0].work.last.chain[0].key))
    cell, folders = some[0].config, default_folders(None)
    images, info = cell.dataset.load(folders), cell.dataset.info(folders)
    rows = draw(cell.dataset, info, images, cell.imbalance, 0).train
    network = cell.model.build(info.shape, 10).eval()
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    with torch.no_grad():
        guessed = network(torch.from_numpy(images.images_NCHW[rows]).float() / 255).argmax(dim=1).numpy()
    assert result.history["train.accuracy"][-1][1] == pytest.approx((guessed == images.labels_N[rows]).mean())
    assert result.metrics["train_test_gap"] == pytest.approx(result.history["train.accuracy"][-1][1] - result.metrics["accuracy"])


def test_large_parts_are_looked_at_in_part() -> None:
    rows = np.arange(40_000)
    split = Split(rows[:25_000], rows[:0], rows[25_000:], rows % 2)
    monitor = monitor_of(recipe(monitor=1), 10, split, torch.zeros(40_000, 1, 1, 1), torch.from_numpy(split.labels_N))
    assert monitor is not None
    assert {part: len(found) for part, found in monitor.rows.items()} == MONITORED
    assert monitor.rows["test"].min() >= 25_000
    assert monitor_of(recipe(), 10, split, torch.zeros(1), torch.zeros(1)) is None


def test_only_cells_that_end_with_the_trained_network_have_a_history(tmp_path) -> None:
    done = small.run(tmp_path, small.cells(["none", {"thresholding": {}}, {"two-phase": {}}], monitor=2))
    found = {cell.method: cell for cell in done.cells}
    new = {"train_test_gap", "gap_growth", "test_accuracy_sd"}
    assert set(found["none"].history) == {"train.accuracy", "test.accuracy"}
    assert new <= found["none"].metrics.keys()
    for name in ("thresholding", "two-phase"):
        assert found[name].history == {}
        assert not new & found[name].metrics.keys()
    with Ledger(tmp_path) as ledger:
        stored = ledger.cells("small")
    assert all(repr(stored[cell.key]) == repr(cell) for cell in done.cells), "the same after a round trip"


def test_cells_without_a_monitor_have_none_of_it(tmp_path) -> None:
    (result,) = small.run(tmp_path, small.cells(["none"])).cells
    assert result.history == {}
    assert "train_test_gap" not in result.metrics
    old = {name: value for name, value in json.loads(json.dumps(asdict(result))).items() if name != "history"}
    assert cell_result(old).history == {}, "records of before there was a monitor"


def series(train_accuracy: list[float], test_accuracy: list[float], step: int = 10) -> dict[str, Any]:
    parts = {"train": train_accuracy, "test": test_accuracy}
    return {f"{part}.accuracy": [(step * (n + 1), value) for n, value in enumerate(values)] for part, values in parts.items()}


def test_derived_numbers_by_hand() -> None:
    found = derived(series([0.5, 0.6, 0.8, 0.9, 1, 1, 1, 1, 1, 1], [0.5, 0.5, 0.6, 0.6, 0.7, 0.7, 0.7, 0.8, 0.7, 0.8]))
    assert found["train_test_gap"] == pytest.approx(0.2)
    assert found["gap_growth"] == pytest.approx(0.2 - 0.3)
    assert found["test_accuracy_sd"] == pytest.approx(0.1 / math.sqrt(2))
    three = derived(series([0.6, 0.8, 1.0], [0.5, 0.5, 0.5]))
    assert three["gap_growth"] == pytest.approx(0.5 - 0.1), "of two points as near to half time the earlier"
    assert math.isnan(three["test_accuracy_sd"])
    one = derived(series([1.0], [0.5]))
    assert one["train_test_gap"] == 0.5
    assert math.isnan(one["gap_growth"])
    assert derived({}) == {}


# -- what it costs


def test_its_time_is_in_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only looking moves."""
    now = [0.0]
    monkeypatch.setattr(loop.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Monitor, "look", lambda *_: now.__setitem__(0, now[0] + 100))
    profile = trained((10, 75, 120))[-1]
    assert profile["monitor_seconds"] == 300
    assert (profile["warmup_seconds"], profile["steady_seconds"], profile["data_seconds"]) == (0, 0, 0)
    assert (profile["warmup_steps"], profile["steady_steps"]) == (50, 70)
    assert "monitor_seconds" not in trained(())[-1]


def test_a_cell_says_how_long_it_was_watched(tmp_path) -> None:
    watched, alone = (small.run(tmp_path, small.cells(["none"], monitor=monitor)).cells[0].profile for monitor in (3, 0))
    assert 0 < watched["seconds.monitor"] < watched["seconds.train"]
    assert "seconds.monitor" not in alone


def test_costs_are_measured_unwatched_and_prices_count_what_is_looked_at(tmp_path) -> None:
    works = [small.plan(tmp_path, small.cells(["none"], iterations=400, monitor=m))[0].cells[0].work for m in (0, 10)]
    plain, watched = (work.last.chain[0] for work in works)
    assert cut(watched).config == cut(plain).config
    assert cut(watched).stream_key == watched.stream_key
    looked_at = 10 * (sum(works[0].class_counts) + sum(plain.config["test_counts"]))
    assert units(watched) - units(plain) == pytest.approx(looked_at / 3)
