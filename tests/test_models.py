"""Models: published parameter counts and initialisations."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark import registry
from benchmark.errors import InvalidValue


def build(spec, shape=(1, 28, 28), classes=10):
    return registry.build("models", spec).build(shape, classes)


@pytest.mark.parametrize(("shape", "number"), [((1, 28, 28), 431_080), ((3, 32, 32), 657_080)])
def test_lenet5_has_the_parameters_of_buda_table_2(shape, number):
    assert sum(p.numel() for p in build("lenet5", shape).parameters()) == number


def test_lenet5_has_one_relu_after_the_first_linear_layer():
    names = [type(layer).__name__ for layer in build("lenet5")]
    assert names == ["Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]


@pytest.mark.parametrize("init", ["xavier_fan_in", "xavier_glorot", "msra"])
def test_initial_weights_have_the_variance_that_their_name_promises(init):
    torch.manual_seed(0)
    weight = build({"lenet5": {"init": init}}).hidden.weight
    fan_out, fan_in = weight.shape
    variance = {"xavier_fan_in": 1 / fan_in, "xavier_glorot": 2 / (fan_in + fan_out), "msra": 2 / fan_in}[init]
    assert weight.var().item() == pytest.approx(variance, rel=0.02)
    if init == "xavier_fan_in":  # Caffe's filler: U(-a, a), a = sqrt(3 / fan_in)
        assert weight.abs().max().item() == pytest.approx(math.sqrt(3 / fan_in), rel=1e-3)


def test_dropout_is_there_only_when_asked_for():
    assert not [m for m in build("lenet5").modules() if isinstance(m, torch.nn.Dropout)]
    assert [m.p for m in build({"small-cnn": {"dropout": 0.3}}).modules() if isinstance(m, torch.nn.Dropout)] == [0.3]


@pytest.mark.parametrize(("name", "side"), [("lenet5", 15), ("small-cnn", 7)])
def test_images_too_small_are_refused_with_the_smallest_size(name, side):
    model = registry.build("models", name)
    model.check((1, side + 1, side + 1), 10)
    assert model.build((1, side + 1, side + 1), 10)(torch.zeros(2, 1, side + 1, side + 1)).shape == (2, 10)
    with pytest.raises(InvalidValue, match=f"at least {side + 1} x {side + 1}, found {side} x {side}"):
        model.check((1, side, side), 10)
