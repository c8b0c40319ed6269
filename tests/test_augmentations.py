"""Augmentation on the device: against scipy's interpolation, seeded by stage and step, and never where it is not asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import small
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from benchmark import registry
from benchmark.execute.distortion import Distortion


def geometric(**parameters):
    return registry.build("augmentations", {"geometric": parameters})


@given(st.lists(st.floats(0, 0.999), min_size=4, max_size=4), st.sampled_from([(8, 8), (6, 10)]), st.sampled_from(["nearest", "zero"]))
@settings(max_examples=40)
def test_turning_shifting_and_flipping_are_scipys(draws, shape, fill):
    height, width = shape
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    augmentation = geometric(rotation=20, shift=0.2, flip=True, fill=fill)
    found = augmentation.apply(torch.from_numpy(image)[None, None], torch.tensor([draws], dtype=torch.float32))[0, 0].numpy()

    angle, side = math.radians(20) * (2 * draws[0] - 1), -1 if np.float32(draws[3]) < 0.5 else 1
    rows, columns = np.mgrid[:height, :width].astype(float)
    x, y = (columns - (width - 1) / 2) * side, rows - (height - 1) / 2
    source_x = math.cos(angle) * x - math.sin(angle) * y + (width - 1) / 2 + 0.2 * width * (2 * draws[1] - 1)
    source_y = math.sin(angle) * x + math.cos(angle) * y + (height - 1) / 2 + 0.2 * height * (2 * draws[2] - 1)
    if fill == "nearest":
        expected = ndimage.map_coordinates(image, [source_y, source_x], order=1, mode="nearest")
    else:
        padded = np.pad(image, 8)  # zeros: interpolation at the border fades into them
        expected = ndimage.map_coordinates(padded, [source_y + 8, source_x + 8], order=1, mode="constant")
    assert found == pytest.approx(expected, abs=2e-4)


def test_nothing_asked_is_nothing_done():
    images, draws = torch.rand(4, 3, 8, 8), torch.rand(4, 4)
    assert torch.allclose(geometric(rotation=0, shift=0).apply(images, draws), images, atol=1e-6)


def test_draws_depend_on_seed_and_step_alone():
    images = torch.rand(4, 1, 8, 8)
    first, again, other = (Distortion(geometric(), seed) for seed in (1, 1, 2))
    begun = [first(images), first(images)]
    assert not torch.equal(begun[0], begun[1])
    again.step = 1
    assert torch.equal(again(images), begun[1])
    assert not torch.equal(other(images), begun[0])


def test_a_recipe_that_augments_trains_another_network_and_one_that_does_not_keeps_its_identity(tmp_path):
    found = {}
    for name, recipe in (("plain", {}), ("augmented", {"augment": "geometric"}), ("again", {"augment": "geometric"})):
        cells = small.cells(["none"], **recipe)
        assert ("augment" in cells[0].config.recipe.science) == bool(recipe)
        found[name] = small.run(tmp_path / name, cells).cells[0].curve
    assert found["augmented"] == found["again"] != found["plain"]
