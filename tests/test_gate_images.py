"""Paired tests on stored predictions: against SciPy, against DeLong's formula for two classes, calibrated on exchangeable networks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from gate_factory import LABELS, predictions

from benchmark import registry
from benchmark.gate.images import bootstrap, compare, delong, mcnemar
from benchmark.records import Predictions

AUC = registry.build("metrics", "auc")
ACCURACY = registry.build("metrics", "accuracy")


def made(seed: int, strength: float = 1.0, labels=LABELS, classes: int = 3) -> Predictions:
    arrays = predictions(seed, strength=strength, labels=labels, classes=classes)
    return Predictions(arrays["test.scores"], arrays["test.labels"], (1,) * classes)


def test_mcnemar_is_the_binomial_test_on_the_images_that_differ():
    before, after = made(0, 1.5), made(1, 1.0)
    right, wrong = (each.scores_NK.argmax(1) == each.labels_N for each in (before, after))
    lost, won = int((right & ~wrong).sum()), int((~right & wrong).sum())
    found = mcnemar(before, after)
    assert found.loss == pytest.approx((lost - won) / len(LABELS))
    assert found.p_worse == pytest.approx(scipy.stats.binomtest(lost, lost + won, alternative="greater").pvalue)
    assert found.p_better == pytest.approx(scipy.stats.binomtest(won, lost + won, alternative="greater").pvalue)


def test_the_same_network_is_no_loss():
    for metric in (AUC, ACCURACY, registry.build("metrics", "f1")):
        found = compare(metric, made(3), made(3))
        assert (found.loss, found.p_worse, found.p_better) == (0.0, 1.0, 1.0)


def classical_delong(before: Predictions, after: Predictions) -> tuple[float, float]:
    """DeLong et al. 1988, eq. 5 to 8, written down from the paper for class 1 against class 0."""
    positive = before.labels_N == 1
    areas, v10, v01 = [], [], []
    for each in (before, after):
        x, y = each.scores_NK[positive, 1], each.scores_NK[~positive, 1]
        psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        areas.append(psi.mean())
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    covariance = np.cov(v10) / positive.sum() + np.cov(v01) / (~positive).sum()
    contrast = np.array([1, -1])
    return areas[0] - areas[1], float(np.sqrt(contrast @ covariance @ contrast))


def test_delong_for_two_classes_is_delongs():
    labels = np.repeat([0, 1], [150, 40])
    before, after = (made(seed, strength, labels, 2) for seed, strength in ((0, 1.0), (1, 0.7)))
    loss, deviation = classical_delong(before, after)
    found = delong(before, after)
    assert found.loss == pytest.approx(loss)
    assert found.deviation == pytest.approx(deviation)
    assert found.p_worse == pytest.approx(scipy.stats.norm.sf(loss / deviation))


def test_delong_is_the_metric_and_agrees_with_the_bootstrap():
    before, after = made(0, 1.0), made(1, 0.6)
    found, other = delong(before, after), bootstrap(AUC, before, after)
    assert found.loss == pytest.approx(AUC.score(before).value - AUC.score(after).value)
    assert found.deviation == pytest.approx(other.deviation, rel=0.15)


def test_the_direction_of_a_metric_counts():
    worse = bootstrap(registry.build("metrics", "nll"), made(0, 2.0), made(0, 0.5))
    assert worse.loss > 0
    assert worse.p_worse < 0.001 < worse.p_better


@pytest.mark.parametrize("test", [mcnemar, delong])
def test_false_alarms_on_exchangeable_networks_are_as_rare_as_promised(test):
    p_values = np.array([test(made(2 * seed), made(2 * seed + 1)).p_worse for seed in range(400)])
    for level in (0.05, 0.2):
        expected = scipy.stats.binom(400, level)
        assert (p_values <= level).sum() <= expected.ppf(0.999)  # McNemar is conservative: no lower bound
    if test is delong:
        assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.001
