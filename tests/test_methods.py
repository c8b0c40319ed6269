"""Methods against worked numbers and other people's implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark import registry
from benchmark.errors import InvalidValue
from benchmark.methods import Adjust, Train
from benchmark.records import Problem


def problem(*counts, smoothing=0.0):
    return Problem(tuple(counts), tuple("abcdefghij"[: len(counts)]), (1, 8, 8), 10, 4, smoothing)


def steps(spec, *counts):
    return registry.build("methods", spec).steps(problem(*counts))


def test_full_sampling_balances():
    assert steps("ros", 5000, 500, 50)[0].class_counts == (5000, 5000, 5000)
    assert steps("rus", 5000, 500, 50)[0].class_counts == (50, 50, 50)
    assert steps("none", 5000, 500, 50)[0].class_counts is None


@pytest.mark.parametrize(("ratio", "ros", "rus"), [(1, (5000, 5000), (5, 5)), (10, (5000, 500), (50, 5)), (1000, (5000, 5), (5000, 5))])
def test_partial_sampling_as_in_buda_4_5(ratio, ros, rus):
    """ROS(r): max(n_i, n_max / r); RUS(r): min(n_i, r n_min), at ρ = 1000; r = ρ is no sampling."""
    assert steps({"ros": {"ratio": ratio}}, 5000, 5)[0].class_counts == ros
    assert steps({"rus": {"ratio": ratio}}, 5000, 5)[0].class_counts == rus


@given(st.lists(st.integers(1, 500), min_size=2, max_size=6))
def test_sampled_counts_are_those_of_imbalanced_learn(counts):
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    labels = np.repeat(np.arange(len(counts)), counts)
    for spec, sampler in (("ros", RandomOverSampler()), ("rus", RandomUnderSampler())):
        _, resampled = sampler.fit_resample(np.arange(len(labels))[:, None], labels)
        assert steps(spec, *counts)[0].class_counts == tuple(np.bincount(resampled))


def test_a_class_without_images_is_not_the_smallest():
    assert steps("rus", 100, 0, 10)[0].class_counts == (10, 0, 10)
    assert steps("ros", 100, 0, 10)[0].class_counts == (100, 0, 100)


def test_thresholding_divides_by_the_priors_before_sampling():
    train, adjust = steps({"thresholding": {"base": "ros"}}, 90, 10)
    assert isinstance(train, Train)
    assert isinstance(adjust, Adjust)
    assert train.class_counts == (90, 90)
    assert adjust.offset == pytest.approx((math.log(0.9), math.log(0.1)))


@pytest.mark.parametrize(
    ("base", "effective"),
    [
        ("none", (5000, 500, 5)),
        ("ros", (5000, 5000, 5000)),
        ("rus", (5, 5, 5)),
        ({"ros": {"ratio": 10}}, (5000, 500, 500)),
        ({"rus": {"ratio": 10}}, (50, 50, 5)),
        ("class-weights", (5000, 500, 5)),
        ({"two-phase": {"base": "ros"}}, (5000, 500, 5)),  # its last training is on the imbalanced set
        ({"thresholding": {"base": "ros"}}, (5000, 5000, 5000)),
    ],
)
def test_thresholding_by_effective_priors_divides_by_the_shares_that_were_trained_on(base, effective):
    *before, adjust = steps({"thresholding": {"base": base, "priors": "effective"}}, 5000, 500, 5)
    assert adjust.offset == pytest.approx([math.log(n / sum(effective)) for n in effective])
    assert [type(step) for step in before] == [type(step) for step in steps(base, 5000, 500, 5)]


def test_imbalanced_priors_are_the_default_to_the_last_bit():
    for base in ("none", "ros", {"rus": {"ratio": 3}}):
        for spec in ({"base": base}, {"base": base, "priors": "imbalanced"}):
            assert steps({"thresholding": spec}, 71, 13, 9)[-1].offset == tuple(math.log(n / 93) for n in (71, 13, 9))


def test_effective_priors_after_full_sampling_change_no_decision():
    offset = steps({"thresholding": {"base": "ros", "priors": "effective"}}, 90, 10, 3)[-1].offset
    logits = np.random.default_rng(0).normal(size=(50, 3))
    assert len(set(offset)) == 1
    assert ((logits - offset).argmax(1) == logits.argmax(1)).all()


def test_thresholding_needs_a_prior_for_every_class():
    with pytest.raises(InvalidValue, match="class 'b' has no training image"):
        steps({"thresholding": {}}, 10, 0)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8))
def test_class_weights_are_scikit_learns_balanced_ones(counts):
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    assert registry.build("methods", "class-weights").weights(problem(*counts)) == pytest.approx(tuple(expected))


@given(st.floats(0, 2, allow_subnormal=False), st.lists(st.integers(1, 1000), min_size=2, max_size=8))
def test_class_weights_average_one_over_the_training_images(power, counts):
    weights = registry.build("methods", {"class-weights": {"power": power}}).weights(problem(*counts))
    assert np.dot(weights, counts) == pytest.approx(sum(counts))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighted_loss_by_hand_and_as_torch_has_it(smoothing):
    logits = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 0, 0, 0, 1, 0])
    asked = problem(90, 10, smoothing=smoothing)
    losses = {
        r: registry.build("methods", {"class-weights": {"reduction": r}}).loss(asked)(logits, labels) for r in ("mean", "weighted-mean")
    }
    weights = torch.tensor([100 / 180, 100 / 20])
    torch.testing.assert_close(
        losses["weighted-mean"], torch.nn.functional.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)
    )
    if not smoothing:
        by_hand = -(weights[labels] * logits.log_softmax(1)[torch.arange(6), labels]).mean()
        torch.testing.assert_close(losses["mean"], by_hand)
