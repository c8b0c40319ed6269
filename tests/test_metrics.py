"""Metrics against scikit-learn, imbalanced-learn, torchmetrics and worked examples, on ordinary and degenerate predictions."""

from __future__ import annotations

import math
import time
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.metrics import geometric_mean_score
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

from benchmark.metrics import Metric
from benchmark.metrics._confusion import confusion
from benchmark.metrics._probabilities import log_softmax
from benchmark.records import MetricValue, Predictions
from benchmark.registry import build, names

ALL = names("metrics")
NEEDED = {"confusion_rank": {"classes": [0, 1]}, "recall_of": {"classes": [0, 1]}}
"""Parameters of metrics that have no default."""


def metric(name: str, **given_parameters: object) -> Metric:
    return cast(Metric, build("metrics", {name: {**NEEDED.get(name, {}), **given_parameters}}))


def predictions(scores: ArrayLike, labels: ArrayLike, counts: tuple[int, ...] | None = None) -> Predictions:
    scores_NK = np.asarray(scores)
    return Predictions(scores_NK, np.asarray(labels, dtype=np.int64), counts or (50,) * scores_NK.shape[1])


def decided(decisions: list[int], labels: list[int], num_classes: int) -> Predictions:
    """Predictions with these decisions."""
    return predictions(log_softmax(5 * np.eye(num_classes)[decisions]), labels)


def ordinary(seed: int = 0, num: int = 400, num_classes: int = 5, skill: float = 1.5) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num)
    logits = rng.normal(size=(num, num_classes)) + skill * np.eye(num_classes)[labels]
    return predictions(log_softmax(logits).astype(np.float32), labels)


def value(name: str, found: Predictions, **parameters: object) -> float:
    return metric(name, **parameters).score(found).value


@st.composite
def cases(draw: st.DrawFn) -> Predictions:
    """Few images and coarse scores: absent classes, classes never predicted, one class only and ties are common."""
    num_classes, num = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    levels = draw(st.lists(st.lists(st.integers(0, 3), min_size=num_classes, max_size=num_classes), min_size=num, max_size=num))
    labels = draw(st.lists(st.integers(0, num_classes - 1), min_size=num, max_size=num))
    return predictions(np.array(levels, dtype=np.float32) - 4, labels)


def test_all_metrics_of_the_suite_language_exist() -> None:
    expected = "accuracy auc auc_hard balanced_accuracy brier confusion_rank ece f1 fbeta gmean gmean_ovr groups minority_recall nll "
    expected += "precision recall recall_of worst_recall"

    assert expected.split() == ALL


@given(cases())
@settings(max_examples=150, deadline=None)
def test_decision_metrics_equal_scikit_learn(case: Predictions) -> None:
    labels, decisions = case.labels_N, case.scores_NK.argmax(axis=1)
    present = np.unique(labels)
    macro = {"labels": present, "average": "macro", "zero_division": 0}

    np.testing.assert_array_equal(confusion(case), sk.confusion_matrix(labels, decisions, labels=np.arange(case.scores_NK.shape[1])))
    assert value("accuracy", case) == pytest.approx(sk.accuracy_score(labels, decisions))
    assert value("balanced_accuracy", case) == pytest.approx(sk.recall_score(labels, decisions, **macro))
    assert value("recall", case) == pytest.approx(sk.recall_score(labels, decisions, **macro))
    assert value("precision", case) == pytest.approx(sk.precision_score(labels, decisions, **macro))
    assert value("f1", case) == pytest.approx(sk.f1_score(labels, decisions, **macro))
    assert value("fbeta", case) == pytest.approx(sk.fbeta_score(labels, decisions, beta=2.0, **macro))
    assert value("fbeta", case, beta=0.5) == pytest.approx(sk.fbeta_score(labels, decisions, beta=0.5, **macro))
    assert value("worst_recall", case) == pytest.approx(sk.recall_score(labels, decisions, labels=present, average=None).min())


@given(cases())
@settings(max_examples=100, deadline=None)
def test_auc_equals_scikit_learn_class_by_class_and_leaves_out_undefined_classes(case: Predictions) -> None:
    found = metric("auc").score(case)
    expected = []
    for label in range(case.scores_NK.shape[1]):
        positive = case.labels_N == label
        defined = positive.any() and not positive.all()
        expected.append(sk.roc_auc_score(positive, case.scores_NK[:, label]) if defined else math.nan)
    defined_areas = [area for area in expected if not math.isnan(area)]

    np.testing.assert_allclose(found.per_class, expected, atol=1e-12)
    assert found.value == pytest.approx(np.mean(defined_areas) if defined_areas else math.nan, nan_ok=True)


def test_auc_equals_the_multiclass_form_of_scikit_learn_and_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multiclass_auroc

    case = ordinary()
    probabilities = np.exp(case.scores_NK.astype(np.float64))
    expected = sk.roc_auc_score(case.labels_N, probabilities / probabilities.sum(axis=1, keepdims=True), multi_class="ovr")
    theirs = multiclass_auroc(torch.from_numpy(probabilities), torch.from_numpy(case.labels_N), num_classes=5)

    assert value("auc", case) == pytest.approx(expected, abs=1e-12)
    assert value("auc", case) == pytest.approx(float(theirs), abs=1e-6)


def test_auc_of_a_worked_example_with_a_tie() -> None:
    case = predictions([[-1.0, -9.0], [-2.0, -8.0], [-2.0, -7.0], [-3.0, -6.0]], [0, 0, 1, 1])

    assert metric("auc").score(case).per_class == (3.5 / 4, 1.0)


@given(st.integers(0, 50), st.sampled_from([1.5, 10.0, 40.0]))
@settings(max_examples=30, deadline=None)
def test_thresholding_leaves_auc_alone_though_renormalising_would_not(seed: int, skill: float) -> None:
    case = ordinary(seed, skill=skill)
    priors = np.log(np.array([1, 10, 100, 1000, 5000]) / 6111)
    adjusted = predictions(case.scores_NK - priors, case.labels_N)

    assert adjusted.scores_NK.dtype == np.float64
    assert value("auc", adjusted) == pytest.approx(value("auc", case), abs=1e-12)
    renormalised = predictions(log_softmax(adjusted.scores_NK), case.labels_N)
    assert skill > 2 or value("auc", renormalised) != pytest.approx(value("auc", case), abs=1e-4)


def test_log_probabilities_of_confident_images_do_not_tie() -> None:
    scores = log_softmax(np.array([[0.0, -40.0], [0.0, -50.0], [0.0, -90.0]], dtype=np.float32))

    np.testing.assert_allclose(scores[:, 0], [-math.exp(-40), -math.exp(-50), -math.exp(-90)], rtol=1e-12)


def test_gmean_equals_imbalanced_learn_and_is_zero_when_a_class_is_missed() -> None:
    case = ordinary()
    decisions = case.scores_NK.argmax(axis=1)

    assert value("gmean", case) == pytest.approx(geometric_mean_score(case.labels_N, decisions, average="multiclass"))
    assert value("gmean", decided([0, 1, 1], [0, 1, 2], 3)) == 0
    assert value("gmean", decided([0, 0, 1, 1], [0, 0, 1, 0], 3)) == pytest.approx(math.sqrt(2 / 3))  # class 2 is absent: not missed


def test_gmean_ovr_is_the_mean_of_roots_where_imbalanced_learn_takes_the_root_of_means() -> None:
    case = ordinary(skill=0.5)
    labels, decisions = case.labels_N, case.scores_NK.argmax(axis=1)
    found = metric("gmean_ovr").score(case)

    np.testing.assert_allclose(found.per_class, geometric_mean_score(labels, decisions, average=None), atol=1e-12)
    assert found.value == pytest.approx(np.mean(found.per_class))
    assert found.value != pytest.approx(geometric_mean_score(labels, decisions, average="macro"), abs=1e-6)
    assert found.value > value("balanced_accuracy", case) > value("gmean", case)


def test_gmean_ovr_of_a_worked_example() -> None:
    found = metric("gmean_ovr").score(decided([0, 1, 1, 1], [0, 0, 1, 1], 3))

    np.testing.assert_allclose(found.per_class, [math.sqrt(0.5 * 1), math.sqrt(1 * 0.5), math.nan])
    assert found.value == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_equals_torchmetrics(bins: int) -> None:
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multiclass_calibration_error

    case = ordinary(num=1000)
    expected = multiclass_calibration_error(
        torch.from_numpy(np.exp(case.scores_NK.astype(np.float64))), torch.from_numpy(case.labels_N), num_classes=5, n_bins=bins, norm="l1"
    )

    assert value("ece", case, bins=bins) == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_of_a_worked_example_with_a_confidence_on_the_edge() -> None:
    scores = np.log([[0.6, 0.4], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8]])  # bins of 0.2: (0.4, 0.6] and (0.6, 0.8]

    assert value("ece", predictions(scores, [0, 1, 1, 1]), bins=5) == pytest.approx(0.5 * 0.1 + 0.5 * 0.2)


def test_likelihood_and_brier_score_equal_scikit_learn_also_after_an_adjustment() -> None:
    case = ordinary()
    adjusted = predictions(case.scores_NK - np.arange(5.0), case.labels_N)
    for found in (case, adjusted):
        probabilities = np.exp(found.scores_NK.astype(np.float64))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        squares = sum(sk.brier_score_loss(found.labels_N == label, probabilities[:, label]) for label in range(5))

        assert value("nll", found) == pytest.approx(sk.log_loss(found.labels_N, probabilities))
        assert value("brier", found) == pytest.approx(squares)


def test_minority_recall_is_that_of_the_classes_below_the_largest_count() -> None:
    labels = [0, 0, 1, 1, 2, 2, 2, 3]
    decisions = [0, 0, 1, 0, 2, 2, 0, 0]  # recalls 1, 1/2, 2/3, 0

    def found(*counts: int) -> float:
        return value("minority_recall", predictions(np.eye(4)[decisions], labels, counts))

    assert found(500, 50, 50, 500) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found(500, 499, 300, 100) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found(5, 500, 500, 500) == 1
    assert math.isnan(found(500, 500, 500, 500))


def test_minority_recall_leaves_out_classes_without_an_image() -> None:
    case = predictions(np.eye(3)[[0, 1, 0]], [0, 1, 1], (100, 10, 10))

    assert value("minority_recall", case) == 0.5
    assert math.isnan(value("minority_recall", predictions(np.eye(3)[[0, 1]], [0, 0], (100, 10, 10))))


def test_groups_are_thirds_by_rank_and_shots_by_count() -> None:
    labels = list(range(10)) * 2
    decisions = [*range(10), *[(label + (label >= 7)) % 10 for label in range(10)]]  # 7, 8 and 9 are right once out of twice
    counts = (5000, 2997, 1796, 1077, 645, 387, 101, 100, 20, 19)
    parts = metric("groups").score(predictions(np.eye(10)[decisions], labels, counts)).parts

    assert parts == {"head": 1.0, "medium": 1.0, "tail": 0.5, "many": 1.0, "midshot": 0.5, "few": 0.5}


@pytest.mark.parametrize(
    ("num_classes", "sizes"), [(1, (0, 1, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (1, 2, 1)), (5, (2, 1, 2)), (10, (3, 4, 3))]
)
def test_thirds_are_symmetric(num_classes: int, sizes: tuple[int, int, int]) -> None:
    right = []
    for hit in range(num_classes):  # one class right at a time: a group's recall is then 1 / its size
        case = predictions(-np.eye(num_classes), range(num_classes), tuple(range(num_classes, 0, -1)))
        case.scores_NK[hit, hit] = 1
        parts = metric("groups").score(case).parts
        right.append([parts["head"], parts["medium"], parts["tail"]])

    members = (np.nan_to_num(np.array(right)) > 0).sum(axis=0)
    assert tuple(members) == sizes or num_classes == 1


def test_an_empty_group_is_nan_and_never_zero() -> None:
    found = metric("groups").score(predictions(np.eye(2), [0, 1], (5000, 500)))

    assert found.parts["many"] == found.value == 1.0
    assert all(math.isnan(found.parts[name]) for name in ("medium", "midshot", "few"))


def test_a_tail_absent_from_the_labels_is_nan() -> None:
    assert math.isnan(value("groups", predictions(np.eye(3)[[0, 1]], [0, 1], (100, 10, 1))))


def test_classes_absent_from_labels_and_decisions_follow_the_written_policy() -> None:
    case = decided([0, 0, 0, 3], [0, 0, 1, 1], 5)  # 1 is never predicted, 3 only predicted, 2 and 4 neither
    expected = {
        "recall": (1.0, 0.0, math.nan, math.nan, math.nan),
        "precision": (2 / 3, 0.0, math.nan, 0.0, math.nan),
        "f1": (0.8, 0.0, math.nan, 0.0, math.nan),
    }
    for name, per_class in expected.items():
        found = metric(name).score(case)
        np.testing.assert_allclose(found.per_class, per_class)
        assert found.value == pytest.approx((per_class[0] + per_class[1]) / 2)


def test_one_class_in_the_labels_makes_what_needs_negatives_nan() -> None:
    case = decided([1, 1, 0], [1, 1, 1], 3)

    assert math.isnan(value("auc", case))
    assert math.isnan(value("gmean_ovr", case))
    assert value("recall", case) == value("gmean", case) == value("worst_recall", case) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ALL)
def test_no_images_give_nan(name: str) -> None:
    assert math.isnan(value(name, predictions(np.empty((0, 3), dtype=np.float32), [])))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(name: str, bad: float) -> None:
    scores: NDArray[np.float64] = np.zeros((3, 2))
    scores[1, 0] = bad

    with pytest.raises(ValueError, match=r"1 of 3 images are not finite \(the first is image 1\)"):
        value(name, predictions(scores, [0, 1, 1]))


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0], [0]])
def test_labels_that_are_no_classes_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        value("accuracy", predictions(np.eye(2), labels))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_images_does_not_matter(case: Predictions, random: object) -> None:
    order = np.random.default_rng(hash(str(random)) % 2**32).permutation(len(case.labels_N))
    shuffled = predictions(case.scores_NK[order], case.labels_N[order], case.class_counts)
    for name in ALL:
        _assert_same(metric(name).score(shuffled), metric(name).score(case))


def _assert_same(found: MetricValue, expected: MetricValue) -> None:
    assert type(found.value) is float
    assert found.value == pytest.approx(expected.value, nan_ok=True, abs=1e-12)
    np.testing.assert_allclose(found.per_class or (), expected.per_class or ())
    assert found.parts == pytest.approx(expected.parts, nan_ok=True)


def test_decisions_among_equals_go_to_the_lowest_label() -> None:
    np.testing.assert_array_equal(confusion(predictions(np.zeros((2, 3)), [0, 2])), [[1, 0, 0], [0, 0, 0], [1, 0, 0]])


def test_auc_of_a_test_set_takes_milliseconds() -> None:
    case = ordinary(num=10_000, num_classes=10)
    auc = metric("auc")
    times = []
    for _ in range(5):
        start = time.perf_counter()
        auc.score(case)
        times.append(time.perf_counter() - start)

    assert min(times) < 0.05  # about 4 ms here; a loaded machine may take longer
