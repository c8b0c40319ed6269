"""Keys: one meaning, one key; another meaning, another key."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark import registry, seeds
from benchmark.identity import canonical, digest, source_key, sources
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


def test_a_private_module_in_our_own_folders_counts_and_a_plugin_beside_it_does_not():
    folder = Path(registry.__file__).parent
    assert [file.name for file in sources(folder / "datasets" / "cifar10.py")][0] == "cifar10.py"
    assert {file.name for file in sources(folder / "methods" / "thresholding.py")} == {"thresholding.py"}
    assert "_confusion.py" in {file.name for file in sources(folder / "metrics" / "f1.py")}


@pytest.mark.parametrize(
    "line", ["from helper import A", "import helper", "from . import helper", "import helper.deep", "from .helper import *"]
)
def test_every_module_beside_other_peoples_code_is_part_of_it(tmp_path, line):
    (tmp_path / "helper.py").write_text("import deeper\n")
    (tmp_path / "deeper.py").write_text("import helper\nA = 1\n")
    before = write(tmp_path / "plugin.py", f"{line}\n")
    (tmp_path / "deeper.py").write_text("import helper\nA = 2\n")
    assert write(tmp_path / "plugin.py", f"{line}\n") != before


def test_a_package_beside_other_peoples_code_is_part_of_it(tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "loss.py").write_text("A = 1\n")
    before = write(tmp_path / "plugin.py", "from helpers.loss import A\n")
    (tmp_path / "helpers" / "loss.py").write_text("A = 2\n")
    assert write(tmp_path / "plugin.py", "from helpers.loss import A\n") != before


CODE = """
@dataclass(frozen=True)
class A(metaclass=C):
    x: int = -1_000
    async def f(self, a, /, *b, c=1e-3, **d) -> None:
        return f"{a!r:>{c}} é\\u0378 {b}" u"x" if a is None else (yield [k := 1, *b, {**d}, ..., b"\\x00", 1j])
    try: pass
    except* (E, F) as e: raise G from e
    match a:
        case {"k": [1, *_], **rest} if rest: del a[1:2]
"""


def test_golden_source_key(tmp_path):
    """The same under every Python version that runs this test."""
    assert write(tmp_path / "plugin.py", CODE) == "4fa5f4762dba6c0d98b015addcc05e8e"


def test_fields_that_a_later_python_adds_to_the_tree_change_nothing(tmp_path, monkeypatch):
    before = write(tmp_path / "plugin.py", CODE)
    monkeypatch.setattr(ast.ClassDef, "_fields", (*ast.ClassDef._fields, "new_list", "new_option"))
    monkeypatch.setattr(ast.ClassDef, "new_list", [], raising=False)
    monkeypatch.setattr(ast.ClassDef, "new_option", None, raising=False)
    assert write(tmp_path / "plugin.py", CODE) == before


def test_streams_depend_on_purpose_and_parts_alone():
    assert seeds.stream_seed("draw", "digits", 0) == seeds.stream_seed("draw", "digits", 0)
    found = {seeds.stream_seed(p, "digits", s) for p in ("draw", "split", "init", "order") for s in range(50)}
    assert len(found) == 200
    assert all(0 <= seed < 2**63 for seed in found)
