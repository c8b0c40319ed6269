"""Quantiles of Student's t against SciPy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from benchmark.student import quantile


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_every_small_number_of_degrees_agrees_with_scipy(confidence):
    for df in range(1, 60):
        assert quantile(df, confidence) == pytest.approx(float(stdtrit(df, (1 + confidence) / 2)), rel=1e-10), df


@given(df=st.integers(1, 5000), confidence=st.floats(0.01, 0.9999))
def test_any_agrees_with_scipy(df, confidence):
    assert quantile(df, confidence) == pytest.approx(float(stdtrit(df, (1 + confidence) / 2)), rel=1e-8)


def test_printed_tables_are_met():
    assert [round(quantile(df, 0.95), 3) for df in (1, 2, 4, 9, 30)] == [12.706, 4.303, 2.776, 2.262, 2.042]
