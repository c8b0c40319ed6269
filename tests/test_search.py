"""Search spaces: what applies where, what a point becomes, and how the language says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import cells

from benchmark.errors import InvalidValue
from benchmark.language.document import parse
from benchmark.language.search import search_of
from benchmark.search import Dimension, Options, Span, applies, domain_of, grid_values, holder, paths, placed, value_at, walk


def dimensions(text: str) -> tuple[Dimension, ...]:
    return search_of(parse(text, source="test"))


def base(method="none", **more):
    return cells([method], **more)[0].config


SPACE = """
recipe.optimizer.lr: {log: [1e-3, 1]}
recipe.batch: {choice: [16, 32, 64]}
recipe.optimizer: {choice: [{sgd: {momentum: 0.5}}, adam]}
recipe.optimizer.momentum: {range: [0, 0.9], when: {recipe.optimizer: sgd}}
recipe.iterations: {range: [5, 50]}
method.ratio: {range: [1, 4]}
"""


@given(st.data())
def test_a_point_stands_in_the_configuration_as_it_was_chosen(data):
    def pick(path, domain):
        if isinstance(domain, Options):
            return data.draw(st.sampled_from(domain.values))
        numbers = st.integers(int(domain.low), int(domain.high)) if domain.whole else st.floats(domain.low, domain.high)
        return data.draw(numbers)

    config, values = walk(dimensions(SPACE), base("ros"), pick)
    for path, value in values.items():
        if path != "recipe.optimizer":
            assert value_at(config.doc, path) == value
    is_sgd = config.recipe.optimizer.name == "sgd"
    assert ("recipe.optimizer.momentum" in values) is is_sgd
    assert placed(base("ros"), values).doc == config.doc  # stored values give the same configuration again


def test_a_parameter_that_a_group_lacks_is_not_asked_for():
    found = applies(dimensions(SPACE), base("none"))
    assert [item.path for item in found] == [item.path for item in dimensions(SPACE) if item.path != "method.ratio"]


def test_the_parameter_of_a_plugin_that_may_be_chosen_applies():
    space = dimensions("{recipe.schedule: {choice: [constant, {step: {at: [0.5]}}]}, recipe.schedule.factor: {range: [0.1, 0.9]}}")
    named = {item.path for item in applies(space, base())}
    assert named == {"recipe.schedule", "recipe.schedule.factor"} or "recipe.schedule" in named


def test_a_whole_number_stays_one_and_a_declared_range_is_the_parameters_own():
    cls, name = holder(base().doc, "recipe.batch")
    assert domain_of(Dimension("recipe.batch", Span(8, 64)), cls, name).whole
    cls, name = holder(base().doc, "recipe.label_smoothing")
    assert domain_of(Dimension("recipe.label_smoothing"), cls, name) == Span(0, 0.99)
    cls, name = holder(base().doc, "recipe.precision")
    assert domain_of(Dimension("recipe.precision"), cls, name) == Options(("float32", "bf16"))
    cls, name = holder(base().doc, "recipe.l1")
    with pytest.raises(InvalidValue, match="declares no closed range"):
        domain_of(Dimension("recipe.l1"), cls, name)


def test_a_grid_is_stated_or_follows_from_steps_and_choices():
    assert grid_values(Dimension("x", Span(0, 1), grid=(0.1, 0.5)), Span(0, 1)) == (0.1, 0.5)
    assert grid_values(Dimension("x"), Span(0, 0.3, step=0.1)) == pytest.approx((0, 0.1, 0.2, 0.3))
    assert grid_values(Dimension("x"), Options(("a", {"b": {}}))) == ("a", '{"b":{}}')
    with pytest.raises(InvalidValue, match="needs a fixed set"):
        grid_values(Dimension("x"), Span(0, 1))


def test_every_path_of_a_configuration_can_be_read_and_set():
    doc = base({"thresholding": {"base": "ros"}}).doc
    found = list(paths(doc))
    assert "method.base.ratio" in found
    assert "recipe.optimizer.lr" in found
    for path in found:
        assert holder(doc, path) is not None
        value_at(doc, path)
