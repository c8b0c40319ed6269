"""Texts of a ledger: read by a quicker reader than Python's own, to the same values."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.rows import parsed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("value", [{"a": [1, 2.5, -0.0, 5e-324, 0.1 + 0.2, 2**70, None, True]}, "half a character: \ud800", "ä\u2028\0"])
def test_texts_are_read_as_python_reads_them(value: object) -> None:
    text = json.dumps(value)
    assert repr(parsed(text)) == repr(json.loads(text)) == repr(value)


@given(VALUES)
def test_whatever_is_written_comes_back(value: object) -> None:
    assert repr(parsed(json.dumps(value))) == repr(value)


@given(st.integers(0, 2**64 - 1))
def test_every_number_comes_back_to_the_bit(bits: int) -> None:
    (value,) = struct.unpack("d", struct.pack("Q", bits))
    assert repr(parsed(json.dumps(value))) == repr(value)


def test_what_is_no_number_comes_back() -> None:
    assert repr(parsed(json.dumps([math.nan, math.inf, -math.inf]))) == "[nan, inf, -inf]"
    with pytest.raises(ValueError, match="Expecting"):
        parsed("{")
