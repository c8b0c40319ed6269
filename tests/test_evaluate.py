"""What a metric is stored under, and what a scoring key is made of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmark import evaluate, registry
from benchmark.evaluate import metric_label, scoring_key
from benchmark.metrics import Metric
from benchmark.records import MetricValue, Predictions
from benchmark.registry import parameter


def fbeta(beta: float) -> Metric:
    found = registry.build("metrics", {"fbeta": {"beta": beta}})
    assert isinstance(found, Metric)
    return found


def test_labels_name_what_is_not_the_default():
    assert [metric_label(fbeta(beta)) for beta in (2, 2.0, 1, 1.5)] == ["fbeta", "fbeta", "fbeta beta=1", "fbeta beta=1.5"]


@given(st.floats(1e-3, 100), st.floats(1e-3, 100))
def test_two_metrics_have_one_label_only_if_they_are_one(one, other):
    assert (metric_label(fbeta(one)) == metric_label(fbeta(other))) == (one == other)


def declared() -> type[Metric]:
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True)
    class Cost(Metric):
        """A metric with every kind of parameter, one of them required."""

        name = "cost"
        table: tuple[float, ...] = parameter(doc="costs")
        how: str = parameter("mean", doc="how they are joined")
        strict: bool = parameter(True, doc="or not")
        folder: str = parameter("here", doc="a place", identity=False)

        def score(self, predictions: Predictions) -> MetricValue:
            return MetricValue(0.0)

    return Cost


def test_parameters_of_any_type_make_a_label_without_a_slash():
    cost = declared()
    assert metric_label(cost(table=(1.0, 0.5))) == "cost table=[1.0,0.5]"
    assert metric_label(cost(table=(), how="sum", strict=False, folder="there")) == "cost table=[] how=sum strict=false"
    assert metric_label(cost(table=(), how="a/b c")) == 'cost table=[] how="a\\u002fb c"'


def test_scoring_depends_on_parameters_code_and_the_version_here(monkeypatch):
    before = scoring_key([fbeta(1.5)])
    assert before == scoring_key([fbeta(1.5)]) != scoring_key([fbeta(1.6)])
    monkeypatch.setattr(evaluate, "SCORING", evaluate.SCORING + 1)
    assert scoring_key([fbeta(1.5)]) != before
