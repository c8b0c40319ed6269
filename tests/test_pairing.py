"""Methods are compared on the same images from the same weights: seen in what the executor really trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import small
import torch
from torch import nn

from benchmark import registry, typed
from benchmark.draw import Split, draw
from benchmark.execute import stages as executing
from benchmark.execute.context import choose_machine
from benchmark.execute.loop import Trained, TrainingSet, train
from benchmark.execute.stages import Executor
from benchmark.models import Model
from benchmark.places import default_folders
from benchmark.registry import KINDS, parameter, plugin

METHODS = registry.names("methods")


@dataclass
class Seen:
    """What one training began with, and what it came to."""

    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    split: Split | None = None
    rows: np.ndarray[Any, Any] = field(default_factory=lambda: np.empty(0))
    losses: torch.Tensor = field(default_factory=lambda: torch.empty(0))


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A function that plans and trains cells for real, and tells what each training saw."""
    seen: list[Seen] = []

    def watched_draw(*args: Any) -> Split:
        seen.append(Seen(split=draw(*args)))
        assert seen[-1].split is not None
        return seen[-1].split

    def watched_train(model: nn.Module, data: TrainingSet, *args: Any, **options: Any) -> Trained:
        seen[-1].weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        seen[-1].rows = data.rows.numpy()
        made = train(model, data, *args, **options)
        seen[-1].losses = made.losses
        return made

    def run(cells: list[Any]) -> list[Seen]:
        seen.clear()
        planned, ledger = small.plan(tmp_path, cells)
        for cell in planned.cells:
            Executor(choose_machine("cpu"), default_folders(None)).run(cell.work.last.chain[0], {}, lambda *_: None)
        return seen

    monkeypatch.setattr(executing, "draw", watched_draw)
    monkeypatch.setattr(executing, "train", watched_train)
    return run


def equal_weights(one: Seen, other: Seen) -> bool:
    return one.weights.keys() == other.weights.keys() and all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_every_method_starts_from_the_same_weights_and_images(trained):
    first, *others = trained(small.cells(METHODS))
    assert len(others) == len(METHODS) - 1
    assert len(first.weights) > 0
    for other in others:
        assert equal_weights(first, other)
        for part in ("train", "validation", "test", "labels_N"):
            assert np.array_equal(getattr(first.split, part), getattr(other.split, part))


def test_what_they_train_on_comes_from_those_images_alone(trained):
    found = dict(zip(METHODS, trained(small.cells(METHODS)), strict=True))
    drawn = set(found["none"].split.train.tolist())
    assert all(set(seen.rows.tolist()) <= drawn for seen in found.values())
    assert set(found["ros"].rows.tolist()) == drawn
    assert len(found["ros"].rows) > len(found["none"].rows) == len(drawn) > len(set(found["rus"].rows.tolist())) == len(found["rus"].rows)
    assert not torch.equal(found["none"].losses, found["class-weights"].losses)


def test_seeds_start_from_other_weights_and_images(trained):
    one, other = trained(small.cells(["none"], seeds=(0, 1)))
    assert not equal_weights(one, other)
    assert not np.array_equal(one.split.train, other.split.train)


@pytest.fixture
def placed_model(monkeypatch) -> Iterator[None]:
    """A model with a place among its parameters."""
    for kind in KINDS:
        registry.names(kind)
    monkeypatch.setitem(registry._known, "models", dict(registry._known["models"]))
    monkeypatch.setattr(registry, "_load", lambda kind: registry._known[kind])

    @plugin("placed")
    class Placed(Model):
        """A linear model that knows a folder."""

        folder: str = parameter("here", doc="where its notes lie", identity=False)

        def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
            assert self.folder, "the executor must build it with its place"
            module = nn.Sequential(nn.Flatten())
            module.add_module("head", nn.Linear(int(np.prod(image_shape)), num_classes))
            return module

    yield
    typed.types_of.cache_clear()


@pytest.mark.usefixtures("placed_model")
def test_moving_a_place_changes_neither_keys_nor_a_bit(trained, tmp_path):
    cells = [small.cells(["ros"], model={"placed": {"folder": folder}})[0] for folder in ("here", "there")]
    (one,), (other,) = (trained([cell]).copy() for cell in cells)
    assert equal_weights(one, other)
    assert np.array_equal(one.rows, other.rows)
    assert torch.equal(one.losses, other.losses)
    works = [small.plan(tmp_path, [cell])[0].cells[0].work for cell in cells]
    assert works[0].key == works[1].key
    assert works[0].config_key == works[1].config_key
    assert [work.last.chain[0].config["model"]["placed"]["folder"] for work in works] == ["here", "there"]
    assert "folder" not in str(works[0].last.chain[0].science)
