"""Keys: one meaning, one key; another meaning, another key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import registry, seeds
from benchmark.identity import canonical, digest, source_key
from benchmark.recipe import Recipe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(document):
    assert canonical(document) == canonical(dict(reversed(document.items())))


@given(JSON, JSON)
def test_different_documents_have_different_texts(one, other):
    import json

    assert (canonical(one) == canonical(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_nan_has_no_identity():
    with pytest.raises(ValueError, match="JSON"):
        canonical({"lr": float("nan")})


def test_spelling_out_a_default_changes_nothing():
    short = registry.build("methods", {"thresholding": {}})
    long = registry.build("methods", {"thresholding": {"base": {"none": {}}}})
    assert short.text == long.text


def test_numbers_are_the_same_however_they_are_written():
    spellings = [
        {"optimizer": {"sgd": {"lr": value}}, "batch": batch} for value, batch in ((1, "32"), (1.0, 32.0), ("1", 32), ("1e0", "32"))
    ]
    texts = {registry.build_fields(Recipe, given, what="recipe").text for given in spellings}
    assert len(texts) == 1


def test_golden_digest():
    """Identity is a promise across versions: if this changes, every user's results are computed again. Raise IDENTITY_VERSION."""
    assert digest(canonical({"b": [1, 2.5, "x"], "a": None})) == "84feb0dd83875c8f87982b1efb6c7b7a"


def write(path: Path, text: str) -> str:
    source_key.cache_clear()
    path.write_text(text)
    return source_key(path)


def test_comments_formatting_and_docstrings_are_not_code(tmp_path):
    file = tmp_path / "plugin.py"
    plain = write(file, "def f(x):\n    return x + 1\n")
    dressed = write(file, '"""Module."""\n\n# why\ndef f( x ):\n    """Doc."""\n    return (x\n        + 1)\n')
    changed = write(file, "def f(x):\n    return x + 2\n")
    assert plain == dressed != changed


def test_a_private_module_beside_it_is_part_of_its_code(tmp_path):
    helper = tmp_path / "_helper.py"
    helper.write_text("A = 1\n")
    before = write(tmp_path / "plugin.py", "from folder._helper import A\n")
    helper.write_text("A = 2\n")
    assert write(tmp_path / "plugin.py", "from folder._helper import A\n") != before


def test_streams_depend_on_purpose_and_parts_alone():
    assert seeds.stream_seed("draw", "digits", 0) == seeds.stream_seed("draw", "digits", 0)
    found = {seeds.stream_seed(p, "digits", s) for p in ("draw", "split", "init", "order") for s in range(50)}
    assert len(found) == 200
    assert all(0 <= seed < 2**63 for seed in found)
