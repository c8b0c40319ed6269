"""The training loop against a loop written by hand, its data stream, and its failures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from benchmark import registry
from benchmark.errors import InvalidValue
from benchmark.execute.batches import stream
from benchmark.execute.loop import NotFinite, TrainingSet, log_probabilities, train
from benchmark.execute.stages import curve
from benchmark.recipe import Recipe


def recipe(**given_values):
    return registry.build_fields(Recipe, given_values, what="recipe")


def toy(n=40):
    torch.manual_seed(0)
    data = TrainingSet(torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8), torch.randint(0, 3, (n,)), torch.arange(n))
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)), data


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 40), st.integers(0, 3))
def test_the_stream_visits_every_image_once_a_pass_and_never_gives_a_short_batch(num, batch, steps, seed):
    batches = list(stream(num, batch, steps, seed))
    assert [len(b) for b in batches] == [batch] * steps
    joined = torch.cat(batches)
    for start in range(0, len(joined) - num + 1, num):
        assert sorted(joined[start : start + num].tolist()) == list(range(num))


def test_the_stream_repeats_for_a_seed_and_differs_between_seeds():
    one, same, other = (torch.cat(list(stream(50, 10, 5, seed))) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("given_values", [{}, {"schedule": "cosine"}, {"l1": 1e-3}, {"optimizer": "adam"}, {"optimizer": "adamw"}])
def test_training_equals_a_loop_written_by_hand(given_values):
    """Same arithmetic, unfused optimizer, no chunks: the reference of the product's fast loop."""
    chosen = recipe(batch=8, **given_values)
    model, data = toy()
    reference, _ = toy()
    trained = train(model, data, chosen, nn.CrossEntropyLoss(), steps=60, seed=3, progress=lambda *_: None)
    cls = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[chosen.optimizer.name]
    extra = {"momentum": 0.9} if cls is torch.optim.SGD else {}
    optimizer = cls(reference.parameters(), lr=0.01, weight_decay=0.0, **extra)
    expected = []
    for step, picked in enumerate(stream(len(data.rows), 8, 60, 3)):
        optimizer.param_groups[0]["lr"] = 0.01 * chosen.schedule.factor(step, 60)
        loss = nn.functional.cross_entropy(reference(data.inputs[picked].float() / 255), data.labels_N[picked])
        expected.append(loss.item())
        penalty = chosen.l1 * sum(p.abs().sum() for p in reference.parameters() if p.dim() > 1)
        optimizer.zero_grad()
        (loss + penalty).backward()
        optimizer.step()
    assert trained.losses.tolist() == pytest.approx(expected, rel=1e-4)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_diverging_loss_is_an_error_that_says_when():
    model, data = toy()
    with pytest.raises(NotFinite, match="after 50 of 100 steps"):
        train(
            model,
            data,
            recipe(batch=8, optimizer={"sgd": {"lr": 1e30}}),
            nn.CrossEntropyLoss(),
            steps=100,
            seed=0,
            progress=lambda *_: None,
        )


def test_progress_reaches_the_end():
    model, data = toy()
    seen = []
    train(
        model, data, recipe(batch=8), nn.CrossEntropyLoss(), steps=120, seed=0, progress=lambda done, total, _: seen.append((done, total))
    )
    assert seen == [(50, 120), (100, 120), (120, 120)]


def test_scores_are_log_probabilities_whatever_the_batch():
    model, data = toy()
    rows = torch.arange(40)
    whole = log_probabilities(model, data.inputs, rows)
    assert torch.allclose(whole.exp().sum(dim=1), torch.ones(40))
    torch.testing.assert_close(whole, log_probabilities(model, data.inputs, rows, batch=7))
    torch.testing.assert_close(whole, model(data.inputs.float() / 255).log_softmax(1).detach(), rtol=1e-5, atol=1e-6)


def test_the_curve_averages_between_its_points():
    assert curve(torch.tensor([1.0, 3.0])) == [(1, 1.0), (2, 3.0)]
    points = curve(torch.arange(1000.0))
    assert len(points) == 100
    assert points[0] == (10, 4.5)
    assert points[-1][0] == 1000


@pytest.mark.parametrize("name", registry.names("schedules"))
def test_schedules_start_near_the_base_rate(name):
    assert registry.build("schedules", name).factor(0, 1000) == 1.0


def test_published_schedule_values():
    inv = registry.build("schedules", {"inv": {"gamma": 1e-4, "power": 0.75}})
    assert 0.01 * inv.factor(10_000, 10_000) == pytest.approx(0.005946, abs=1e-6)  # Buda et al. 2018, digest §5
    step = registry.build("schedules", {"step": {"at": [0.5, 0.75], "by": 0.1}})
    assert [step.factor(s, 100) for s in (0, 49, 50, 74, 75, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    cosine = registry.build("schedules", {"cosine": {"warmup": 0.1, "floor": 0.2}})
    assert [cosine.factor(s, 100) for s in (0, 9, 10, 55)] == pytest.approx([0.1, 1, 1, 0.6])


def test_steps_of_buda_for_cifar_and_its_line_to_zero_for_imagenet():
    """Digest §5: x 0.1 after 40 000, 50 000, 60 000 of 70 000; linear to 0 at the last of 320 000."""
    drops = registry.build("schedules", {"step": {"at": [40_000, 50_000, 60_000]}})
    for total in (70_000, 55_000):
        seen = [drops.factor(s, total) for s in (0, 39_999, 40_000, 49_999, 50_000)]
        assert seen == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert drops.factor(69_999, 70_000) == pytest.approx(1e-3)
    fractions = registry.build("schedules", {"step": {"at": [4 / 7, 5 / 7, 6 / 7]}})
    assert all(drops.factor(s, 70_000) == fractions.factor(s, 70_000) for s in range(0, 70_000, 1_000))
    line = registry.build("schedules", "linear")
    assert [0.1 * line.factor(s, 320_000) for s in (0, 80_000, 160_000, 320_000)] == pytest.approx([0.1, 0.075, 0.05, 0.0])
    assert 0 < line.factor(319_999, 320_000) < 1e-5


@pytest.mark.parametrize("points", [[0.5, 100], [100, 50], [10.5], [0], [0.5, 0.5], [-1], [0.75, 0.5]])
def test_points_of_a_step_schedule_are_fractions_or_whole_numbers_of_steps(points):
    with pytest.raises(InvalidValue, match="rising fractions between 0 and 1, or rising whole numbers of steps"):
        registry.build("schedules", {"step": {"at": points}})
