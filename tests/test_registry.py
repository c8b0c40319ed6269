"""Finding other people's plug-ins, what their keys are made of, and places that are no part of identity."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from benchmark import registry
from benchmark.cli.lists import _parameter_rows
from benchmark.errors import UserError
from benchmark.identity import source_key
from benchmark.imbalances import Imbalance
from benchmark.registry import KINDS, plain

LOSS = '''
from benchmark.methods import Method, Train
from benchmark.registry import plugin
{imports}

@plugin("{name}")
class Mine({base}):
    """Mine."""

    def steps(self, problem):
        return (Train(by=self),)
'''


@pytest.fixture(autouse=True)
def _leave_no_plugin_behind(monkeypatch):
    for kind in KINDS:
        registry.names(kind)
    known = {kind: dict(found) for kind, found in registry._known.items()}
    monkeypatch.setattr(registry, "_known", known)
    monkeypatch.setattr(registry, "_load", known.__getitem__)  # the real one has cached the tables of before
    monkeypatch.setattr(sys, "path", list(sys.path))


def write(file: Path, name: str, *, base: str = "Method", imports: str = "") -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(LOSS.format(name=name, base=base, imports=imports))
    return file


def code(name: str) -> str:
    source_key.cache_clear()
    return registry.build("methods", name).code[f"methods:{name}"]  # a fresh instance: `code` is cached on it


def test_editing_a_helper_beside_a_plugin_changes_its_key(tmp_path):
    helper = tmp_path / "beside_me.py"
    helper.write_text("A = 1\n")
    write(tmp_path / "mine.py", "mine", imports="from beside_me import A")
    registry.load_folder(tmp_path / "mine.py")
    before = code("mine")
    helper.write_text("A = 2\n")
    assert code("mine") != before


def test_the_file_of_a_base_class_is_part_of_the_key(tmp_path, monkeypatch):
    write(tmp_path / "mine.py", "mine", base="RandomOversampling", imports="from benchmark.methods.ros import RandomOversampling")
    registry.load_folder(tmp_path / "mine.py")
    before = code("mine")
    monkeypatch.setattr(registry, "remembered_key", lambda path: "edited" if path.name == "ros.py" else source_key(path))
    assert code("mine") != before
    assert code("ros") == "edited"
    assert code("none") == source_key(Path(registry.__file__).parent / "methods" / "none.py")


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path):
    one, other = write(tmp_path / "a" / "loss.py", "one"), write(tmp_path / "b" / "loss.py", "other", imports="import math")
    assert [cls.name for file in (one, other) for cls in registry.load_folder(file.parent)] == ["one", "other"]
    assert (code("one"), code("other")) == (source_key(one), source_key(other))
    assert source_key(one) != source_key(other)


def test_helpers_of_one_name_in_two_folders_are_an_error(tmp_path):
    """Python imports the first for both: the second plug-in would be computed with code that is not in its key."""
    for name in ("a", "b"):
        write(tmp_path / name / f"{name}.py", name, imports="import shared_name")
        (tmp_path / name / "shared_name.py").write_text(f"A = '{name}'\n")
    registry.load_folder(tmp_path / "a" / "a.py")
    with pytest.raises(
        UserError, match=r"b.py imports 'shared_name', and there are two of them: .*b/shared_name.py and .*a/shared_name.py"
    ):
        registry.load_folder(tmp_path / "b" / "b.py")


def test_a_file_that_is_no_python_is_refused(tmp_path):
    (tmp_path / "fm.yaml").write_text("suite: fm\n")
    with pytest.raises(UserError, match=r"fm.yaml is no Python file: expected a plug-in file"):
        registry.load_folder(tmp_path / "fm.yaml")


def test_types_are_shown_as_words():
    kept = type("Kept", (Imbalance,), {"__annotations__": {"share": float, "caps": list[int] | None}, "share": 0.5, "caps": None})
    assert [row[1] for row in _parameter_rows(dataclasses.dataclass(frozen=True, kw_only=True)(kept))] == ["float", "list[int] | none"]


def test_a_broken_installed_package_is_named(tmp_path, monkeypatch):
    info = tmp_path / "broken_thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-thing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[skewbench.plugins]\nmine = broken_thing_module\n")
    (tmp_path / "broken_thing_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry._load_entry_points.cache_clear()
    with pytest.raises(
        UserError, match="'broken_thing_module' of the installed package 'broken-thing' cannot be imported: ZeroDivisionError"
    ):
        registry._load_entry_points()


@dataclasses.dataclass(frozen=True)
class Inner:
    folder: str = registry.parameter("here", doc="a place", identity=False)
    width: int = registry.parameter(1, doc="a number")


def test_places_are_dropped_however_deep_they_stand():
    value = {"a": (Inner(), [Inner()]), "b": Inner()}
    assert plain(value, identity=True) == {"a": [{"width": 1}, [{"width": 1}]], "b": {"width": 1}}
    assert plain(value)["b"] == {"folder": "here", "width": 1}
