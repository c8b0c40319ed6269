"""The ResNet50 study: its numbers as the digest has them, re-splits of a pool, its metrics, claims about a profile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from test_claims import cell, verdict
from test_draw import INFO, dataset, images, parts

from benchmark import registry
from benchmark.draw import draw, planned_counts, pool_rows, training_rows
from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes
from benchmark.records import DatasetInfo, Predictions
from benchmark.references import Reference, compare
from benchmark.spec import read_suite

FIRST = [0, 1, 2]


def removed(available: int, share: float, of: str = "class") -> tuple[int, ...]:
    names = tuple(f"class-{label}" for label in range(10))
    imbalance = registry.build("imbalances", {"remove": {"classes": FIRST, "share": share, "of": of}})
    return imbalance.counts(Classes(names, (available,) * 10, tuple(range(10))))


# -- section 3 of the digest


@pytest.mark.parametrize(
    ("available", "kept", "total"),
    [(3000, 2700, 29_100), (3600, 3240, 34_920), (4200, 3780, 40_740), (4800, 4320, 46_560), (5400, 4860, 52_380), (5000, 4500, 48_500),
     (3500, 3150, 33_950), (4900, 4410, 47_530), (5600, 5040, 54_320), (6300, 5670, 61_110), (6000, 5400, 58_200)],
)  # fmt: skip
def test_reading_a_keeps_the_counts_of_the_digest(available, kept, total):
    assert removed(available, 0.1) == (kept,) * 3 + (available,) * 7
    assert sum(removed(available, 0.1)) == total


@pytest.mark.parametrize(
    ("available", "kept", "total"), [(5000, 3333, 44_999), (6000, 4000, 54_000), (4800, 3200, 43_200), (5600, 3733, 50_399)]
)
def test_reading_b_takes_a_tenth_of_all_images_from_three_classes(available, kept, total):
    assert removed(available, 0.1, "training")[:3] == (kept,) * 3
    assert sum(removed(available, 0.1, "training")) == total


def test_readings_c_and_d():
    assert removed(5000, 0.5)[:3] == (2500,) * 3
    assert removed(6000, 0.175)[:3] == (4950,) * 3  # CIFAR-10 as tabulated


def test_a_share_that_leaves_nothing_is_refused():
    with pytest.raises(InvalidValue, match="leaves nothing of the class 'class-0'"):
        removed(100, 0.4, "training")


@pytest.mark.parametrize(("train", "test", "share", "counts"), [
    (5000, 1000, 0.5, (3000, 3000)), (5000, 1000, 0.9, (5400, 600)), (6000, 1000, 0.6, (4200, 2800)), (6000, 1000, 0.8, (5600, 1400)),
])  # fmt: skip
def test_splits_of_the_merged_pool_have_the_counts_of_the_digest(train, test, share, counts):
    info = DatasetInfo("f", (1, 2, 2), ("a", "b"), (train,) * 2, (test,) * 2)
    found = planned_counts(dataset(train_fraction=share), info, registry.build("imbalances", "none"), 0)
    assert (found.train, found.test) == ((counts[0],) * 2, (counts[1],) * 2)


# -- re-splits


@given(st.integers(0, 3), st.sampled_from([0.5, 0.6, 0.9]), st.sampled_from(["merged", "train"]), st.sampled_from([None, 10, 45]))
def test_drawn_parts_are_the_planned_ones_and_lie_in_the_pool(seed, share, pool, cap):
    data, none = dataset(train_fraction=share, pool=pool, pool_cap=cap), registry.build("imbalances", "none")
    counts, split = planned_counts(data, INFO, none, seed), draw(data, INFO, images(), none, seed)
    for part in ("train", "test"):
        assert tuple(np.bincount(split.labels_N[getattr(split, part)], minlength=3)) == getattr(counts, part)
    everything = np.concatenate([split.train, split.test])
    assert set(everything) == set(pool_rows(data, INFO, images()))
    assert pool == "merged" or everything.max() < 150
    assert not set(training_rows(data, INFO, images(), seed)) & set(split.test)


def test_the_pool_is_the_same_for_every_seed_and_splits_are_nested():
    small, large = (dataset(train_fraction=share, pool_cap=20) for share in (0.5, 0.9))
    first, second = (parts(small, "none", seed) for seed in (0, 1))
    assert set(np.concatenate([first.train, first.test])) == set(np.concatenate([second.train, second.test]))
    assert not np.array_equal(first.train, second.train)
    assert set(first.train) < set(parts(large, "none", 0).train)


def test_a_common_test_part_is_the_same_at_every_share():
    found = [parts(dataset(train_fraction=share, test_fraction=0.1), "none") for share in (0.5, 0.7, 0.9)]
    assert all(np.array_equal(split.test, found[0].test) for split in found)
    assert all(not set(split.train) & set(split.test) for split in found)
    assert np.array_equal(found[2].test, parts(dataset(train_fraction=0.9), "none").test)


@pytest.mark.parametrize(("options", "words"), [
    ({"pool_cap": 10}, "'pool_cap' of data set 'digits' goes with train_fraction"), ({"pool": "train"}, "'pool' of data set"),
    ({"train_fraction": 0.95, "test_fraction": 0.2}, "more than the whole"),
])  # fmt: skip
def test_options_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(InvalidValue, match=words):
        parts(dataset(**options), "none")


# -- metrics


def predictions(labels, decisions, num_classes):
    scores = np.full((len(labels), num_classes), -5.0, dtype=np.float32)
    scores[np.arange(len(labels)), decisions] = -0.1
    return Predictions(scores, np.asarray(labels, dtype=np.int64), (1,) * num_classes)


def score(name, found, **given):
    return registry.build("metrics", {name: given}).score(found).value


@given(st.integers(0, 1000))
@settings(max_examples=30)
def test_hard_auc_is_scikit_learns_on_one_hot_decisions(seed):
    random = np.random.default_rng(seed)
    labels, decisions = random.permutation(np.arange(40) % 4), random.integers(0, 4, 40)
    expected = sk.roc_auc_score(np.eye(4)[labels], np.eye(4)[decisions])
    assert score("auc_hard", predictions(labels, decisions, 4)) == pytest.approx(expected)


@pytest.mark.parametrize(("recall", "printed"), [(0.37, 0.65), (0.73, 0.85), (0.77, 0.87), (0.42, 0.68)])
def test_hard_auc_explains_table_7(recall, printed):
    labels = np.repeat(np.arange(10), 900)
    place = np.tile(np.arange(900), 10)
    decisions = np.where(place < recall * 900, labels, (labels + 1 + place % 9) % 10)
    assert score("auc_hard", predictions(labels, decisions, 10)) == pytest.approx(4 / 9 + 5 / 9 * recall, abs=1e-3)
    assert round(4 / 9 + 5 / 9 * recall, 2) == printed


def test_recall_of_some_classes_and_the_rank_of_a_confusion():
    labels, decisions = [0, 0, 0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 1, 0, 2, 2]  # rates: 0→1 1/2, 1→0 1/2, 0→2 1/4
    found = predictions(labels, decisions, 3)
    assert score("recall_of", found, classes=[0, 1]) == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert score("confusion_rank", found, classes=[0, 1]) == 1
    assert score("confusion_rank", found, classes=[0, 2]) == 3
    assert score("confusion_rank", found, classes=[1, 2]) == 4
    with pytest.raises(InvalidValue, match="labels from 0 to 2"):
        score("recall_of", found, classes=[3])


# -- claims


def timed(method, seed, seconds):
    return replace(cell(method, seed, 0.5), profile={"seconds.train": seconds})


def test_claims_and_references_may_be_about_a_profile():
    cells = [timed("none", seed, 10 + 0.1 * seed) for seed in range(6)] + [timed("ros", seed, 20 + 0.21 * seed) for seed in range(6)]
    sides = "metric: profile.seconds.train, compare: {r: {ratio: [{method: ros}, {method: none}]}}, expect:"
    assert verdict(f"{sides} r > 1.5", cells).verdict == "supported"
    assert verdict(f"{sides} r ~ 1 +- 0.1", cells).verdict == "contradicted"
    assert verdict(f"{sides} r > 1.5", cells).effects[0].mean == pytest.approx(
        np.mean([(20 + 0.21 * n) / (10 + 0.1 * n) for n in range(6)])
    )
    best = "metric: profile.seconds.train, compare: {a: {method: none}, b: {best: [{method: none}, {method: ros}]}}, expect: a <= b"
    assert verdict(best, cells).effects[0].mean == 0  # fewer seconds are better
    (found,) = compare([Reference("T8", None, "profile.seconds.train", 355.95, "Table 8")], cells)
    assert np.isnan(found.measured)


@pytest.mark.parametrize("name", ["resnet50-fashion", "resnet50-cifar10", "resnet50-fashion-cpu", "resnet50-cifar10-cpu"])
def test_the_suites_of_the_study_have_its_claims_and_numbers(name):
    suite = read_suite(name)
    claims = {claim.id.partition("-")[0].rstrip("bf") for claim in suite.claims}
    both = {f"R{number}" for number in (1, 3, 4, 5, 6, 7, 9, 20)}
    assert both <= claims
    own = {"fashion": (10, 11, 12, 13, 14, 15, 17, 18, 19), "cifar10": (2, 8, 16, 21)}["fashion" if "fashion" in name else "cifar10"]
    assert {f"R{number}" for number in own} <= claims
    tables = {reference.id.partition(".")[0] for reference in suite.references}
    assert tables == ({"T7", "T8", "T9", "T10"} if "fashion" in name else {"T7", "T8", "T9"})
