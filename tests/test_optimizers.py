"""Caffe's momentum against the update rule in NumPy and, at a constant rate, torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark import registry


def steppers(weights, **parameters):
    return registry.build("optimizers", {"sgd-caffe": parameters}).build(weights)


def descend(optimizer, weights, gradients, rates):
    """One step for each rate: `gradients` gives the gradient of every weight at every step."""
    for each, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        for weight, gradient in zip(weights, each, strict=True):
            weight.grad = torch.tensor(gradient, dtype=weight.dtype)
        optimizer.step()


def test_three_steps_worked_by_hand():
    """v = 0.9 v + lr g; w -= v, from w = 1 with g = 1: rates 0.1, 0.1, 0.01."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = steppers([weight], lr=0.1, momentum=0.9)
    seen = []
    for rate in (0.1, 0.1, 0.01):
        descend(optimizer, [weight], [[[1.0]]], [rate])
        seen.append(weight.item())
    assert seen == pytest.approx([1 - 0.1, 0.9 - 0.19, 0.71 - 0.181])


@given(
    st.lists(st.floats(1e-3, 0.3), min_size=1, max_size=8),
    st.floats(0, 0.99),
    st.sampled_from([0.0, 5e-4, 0.1]),
    st.integers(0, 1000),
)
@settings(max_examples=40)
def test_any_rates_give_what_the_update_rule_in_numpy_gives(rates, momentum, decay, seed):
    rng = np.random.default_rng(seed)
    shapes = [(2, 3), (4,)]
    start = [rng.normal(size=shape) for shape in shapes]
    gradients = [[rng.normal(size=shape) for shape in shapes] for _ in rates]
    weights = [nn.Parameter(torch.tensor(value)) for value in start]
    optimizer = steppers(weights, lr=rates[0], momentum=momentum, weight_decay=decay)
    descend(optimizer, weights, gradients, rates)
    for number, (weight, expected) in enumerate(zip(weights, start, strict=True)):
        velocity = np.zeros_like(expected)
        for rate, gradient in zip(rates, gradients, strict=True):
            velocity = momentum * velocity + rate * (gradient[number] + decay * expected)
            expected = expected - velocity
        np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_at_a_constant_rate_it_is_torchs_sgd_and_after_a_drop_it_is_slower_to_react():
    rng = np.random.default_rng(0)
    gradients = [[rng.normal(size=(3, 3))] for _ in range(30)]
    weights = {name: nn.Parameter(torch.ones(3, 3, dtype=torch.float64)) for name in ("caffe", "torch")}
    optimizers = {
        "caffe": steppers([weights["caffe"]], lr=0.1, momentum=0.9, weight_decay=0.01),
        "torch": torch.optim.SGD([weights["torch"]], lr=0.1, momentum=0.9, weight_decay=0.01),
    }
    for name, optimizer in optimizers.items():
        descend(optimizer, [weights[name]], gradients, [0.1] * 30)
    torch.testing.assert_close(weights["caffe"], weights["torch"])
    moved = {}
    for name, optimizer in optimizers.items():
        before = weights[name].detach().clone()
        descend(optimizer, [weights[name]], [[np.zeros((3, 3))]], [1e-9])
        moved[name] = (weights[name] - before).abs().max().item()
    assert moved["caffe"] > 1e-3
    assert moved["torch"] < 1e-6


def test_weights_without_a_gradient_are_left_alone():
    still, moving = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = steppers([still, moving], lr=0.1, weight_decay=0.5)
    moving.sum().backward()
    optimizer.step()
    assert torch.equal(still, torch.ones(2))
    assert (moving < 1).all()


def test_the_velocity_is_part_of_the_stored_state():
    """What resuming would need."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = steppers([weight], lr=0.1, momentum=0.9)
    descend(optimizer, [weight], [[[1.0, 2.0]]], [0.1])
    state = optimizer.state_dict()
    torch.testing.assert_close(state["state"][0]["velocity"], torch.tensor([0.1, 0.2]))
