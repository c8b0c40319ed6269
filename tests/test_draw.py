"""The draw: paired, nested, exact; and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler

from benchmark import registry, seeds
from benchmark.draw import draw, planned_counts, resample, training_rows
from benchmark.errors import DataError, InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.records import DatasetInfo, Images

COUNTS, TESTS = (40, 60, 50), (10, 12, 14)


def images() -> Images:
    labels = np.concatenate([np.repeat(np.arange(3), COUNTS), np.repeat(np.arange(3), TESTS)]).astype(np.int64)
    return Images(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, sum(COUNTS), ("a", "b", "c"))


INFO = DatasetInfo("f", (1, 2, 2), ("a", "b", "c"), COUNTS, TESTS)


def dataset(**options):
    return registry.build("datasets", {"digits": {"train_fraction": None, **options}})


def imbalance(spec):
    return registry.build("imbalances", spec)


def parts(data, spec, seed=0):
    return draw(data, INFO, images(), imbalance(spec), seed)


def test_nothing_asked_keeps_the_official_split():
    split = parts(dataset(), "none")
    assert np.array_equal(split.train, np.arange(150))
    assert np.array_equal(split.test, np.arange(150, 186))
    assert len(split.validation) == 0


@given(st.integers(0, 5), st.sampled_from([1.0, 2.0, 3.5, 10.0]), st.sampled_from([0.0, 0.2]), st.sampled_from([None, 30]))
def test_drawn_counts_are_the_planned_ones(seed, ratio, validation, cap):
    data, unbalanced = dataset(validation=validation, cap=cap), imbalance({"linear": {"ratio": ratio}})
    counts = planned_counts(data, INFO, unbalanced, seed)
    split = draw(data, INFO, images(), unbalanced, seed)
    for part in ("train", "validation", "test"):
        rows = getattr(split, part)
        assert tuple(np.bincount(split.labels_N[rows], minlength=3)) == getattr(counts, part)
    everything = np.concatenate([split.train, split.validation, split.test])
    assert len(set(everything.tolist())) == len(everything)
    assert split.train.max() < 150 <= split.test.min()


@given(st.integers(0, 20), st.sampled_from(["lowest", "random"]))
def test_a_larger_ratio_keeps_a_subset(seed, classes):
    kept = [set(parts(dataset(), {"step": {"ratio": r, "minority": 0.4, "classes": classes}}, seed).train.tolist()) for r in (1, 2, 5, 20)]
    assert all(small <= large for large, small in zip(kept, kept[1:], strict=False))


def test_seeds_draw_different_images_and_the_same_again():
    spec = {"step": {"ratio": 10, "minority": 0.4}}
    draws = [tuple(parts(dataset(), spec, seed).train) for seed in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]


def test_resplit_pools_and_splits_each_class():
    split = parts(dataset(train_fraction=0.5), "none")
    assert tuple(np.bincount(split.labels_N[split.train])) == (25, 36, 32)
    assert tuple(np.bincount(split.labels_N[split.test])) == (25, 36, 32)


def test_class_subset_is_relabelled_in_the_order_asked_for():
    split = parts(dataset(classes=["c", 0]), "none")
    labels = images().labels_N
    assert set(split.labels_N[labels == 2]) == {0}
    assert set(split.labels_N[labels == 0]) == {1}
    assert set(split.labels_N[labels == 1]) == {-1}
    assert len(split.train) == 90


def test_validation_leaves_every_class_a_training_image():
    counts = planned_counts(dataset(validation=0.5), INFO, imbalance({"counts": {"keep": [2, 3, 40]}}), 0)
    assert (counts.train, counts.validation) == ((1, 1, 20), (1, 2, 20))


@given(st.integers(0, 3), st.sampled_from([1.0, 10.0, 18.0]), st.floats(0, 0.9, allow_subnormal=False), st.sampled_from([None, 0.5]))
def test_no_class_is_emptied_behind_the_users_back(seed, ratio, validation, train_fraction):
    data = dataset(validation=validation, train_fraction=train_fraction)
    counts = planned_counts(data, INFO, imbalance({"step": {"ratio": ratio, "minority": 0.4}}), seed)
    assert min(counts.train) >= 1


def test_the_only_image_of_a_class_trains():
    counts = planned_counts(dataset(validation=0.6), INFO, imbalance({"counts": {"keep": [1, 2, 40]}}), 0)
    assert (counts.train, counts.validation) == ((1, 1, 16), (0, 1, 24))


class Careless(Imbalance):
    """Keeps what there is, and does not look whether that is anything."""

    name = "careless"

    def counts(self, classes: Classes) -> tuple[int, ...]:
        return classes.available


def test_a_class_that_the_split_leaves_empty_is_an_error_unless_it_was_asked_for():
    info = DatasetInfo("f", (1, 2, 2), ("a", "b", "c"), (40, 1, 50), (0, 0, 0))
    data = dataset(train_fraction=0.3)
    with pytest.raises(InvalidValue, match="class 'b' is left without a training image by imbalance 'careless'"):
        planned_counts(data, info, Careless(), 0)
    assert planned_counts(data, info, imbalance({"counts": {"keep": [12, 0, 15]}}), 0).train == (12, 0, 15)


def test_no_test_part_is_an_error_that_names_the_remedy():
    info = DatasetInfo("f", (1, 2, 2), ("a", "b"), (5, 5), (0, 0))
    with pytest.raises(DataError, match="train_fraction"):
        planned_counts(dataset(), info, imbalance("none"), 0)


@pytest.mark.parametrize("classes", [["a", "d"], [0, 7], ["a", "a"], ["a"]])
def test_wrong_class_subsets(classes):
    with pytest.raises(InvalidValue):
        parts(dataset(classes=classes), "none")


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_resampling_hits_its_target_keeps_originals_and_repeats_nothing_when_it_drops(have, data):
    target = tuple(data.draw(st.integers(1, 40)) for _ in have)
    labels = np.repeat(np.arange(len(have)), have).astype(np.int64)
    chosen = resample(labels, target, "x")
    assert tuple(np.bincount(labels[chosen], minlength=len(have))) == target
    for label, (before, after) in enumerate(zip(have, target, strict=True)):
        own = chosen[labels[chosen] == label]
        assert (
            len(set(own.tolist())) == min(before, after) if after <= before else set(np.flatnonzero(labels == label)) <= set(own.tolist())
        )


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.data())
def test_resampling_draws_what_imbalanced_learn_draws(have, data):
    target = [data.draw(st.integers(0 if c > 1 else 1, 40)) for c in range(len(have))]  # imbalanced-learn wants two classes
    labels = np.random.default_rng(len(have)).permutation(np.repeat(np.arange(len(have)), have)).astype(np.int64)
    positions, seed = np.arange(len(labels)), seeds.stream_seed("resample", "x") % 2**32
    for sampler, wanted in (
        (RandomUnderSampler, {c: n for c, n in enumerate(target) if n < have[c]}),
        (RandomOverSampler, {c: n for c, n in enumerate(target) if n > have[c]}),
    ):
        if wanted:
            chosen = sampler(sampling_strategy=wanted, random_state=seed)
            chosen.fit_resample(positions[:, None], labels[positions])
            positions = positions[chosen.sample_indices_]
    assert np.array_equal(resample(labels, tuple(target), "x"), np.sort(positions))


def test_resampling_cannot_make_up_images():
    labels = np.repeat([0, 2], [50, 5]).astype(np.int64)
    assert np.bincount(labels[resample(labels, (50, 0, 50), "x")]).tolist() == [50, 0, 50]
    with pytest.raises(InvalidValue, match="50 images of class 1, which has none"):
        resample(labels, (50, 50, 50), "x")


def test_resampling_depends_on_its_parts():
    labels = np.repeat([0, 1], [50, 5]).astype(np.int64)
    one, same, other = (resample(labels, (50, 50), part) for part in ("a", "a", "b"))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("fraction", [5 / 6, 0.8333])
def test_cifar10_split_anew_is_stratified(fraction):
    """Three re-drawn splits of all 60,000 images (Buda et al. 2018, digest section 10, item 7): 5,000 and 1,000 of each class."""
    labels = np.concatenate([np.repeat(np.arange(10), 5000), np.repeat(np.arange(10), 1000)]).astype(np.int64)
    names = tuple("0123456789")
    info = DatasetInfo("f", (3, 32, 32), names, (5000,) * 10, (1000,) * 10)
    all_images = Images(np.zeros((60_000, 1, 1, 1), np.uint8), labels, 50_000, names)
    data = registry.build("datasets", {"cifar10": {"train_fraction": fraction}})
    splits = [draw(data, info, all_images, imbalance("none"), seed) for seed in range(3)]
    for split in splits:
        assert np.bincount(labels[split.train]).tolist() == [5000] * 10
        assert np.bincount(labels[split.test]).tolist() == [1000] * 10
        assert len({*split.train.tolist(), *split.test.tolist()}) == 60_000
        assert (split.test < 50_000).sum() > 8000, "images of the official training part are tested on"
    shared = len({*splits[0].test.tolist()} & {*splits[1].test.tolist()})
    assert 1400 < shared < 1950, "as many as two independent draws of a sixth have in common: 1,667"


@given(st.integers(0, 5), st.sampled_from([None, 0.5]), st.sampled_from([None, 7]))
def test_the_training_part_is_what_every_cell_of_the_seed_draws_from(seed, fraction, cap):
    data = dataset(train_fraction=fraction, cap=cap, validation=0.1)
    rows = set(training_rows(data, INFO, images(), seed).tolist())
    split = draw(data, INFO, images(), imbalance({"linear": {"ratio": 3}}), seed)
    assert {*split.train.tolist(), *split.validation.tolist()} <= rows
    assert not rows & set(split.test.tolist())
    assert len(rows) == (150 if fraction is None else 93)
    assert rows == set(training_rows(dataset(train_fraction=fraction, classes=(0, 1)), INFO, images(), seed).tolist())
