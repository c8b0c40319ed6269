"""Remembered code keys are the code keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark import code_keys
from benchmark.code_keys import remembered_key
from benchmark.identity import source_key

PLUGINS = sorted(file for folder in ("methods", "models") for file in (code_keys.OWN / folder).glob("[a-z]*.py"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(code_keys.atexit, "register", lambda *_: None)
    forget()
    yield tmp_path / "cache" / "skewbench" / "code-keys.json"
    forget()


def forget() -> None:
    code_keys._memory.cache_clear()
    code_keys._hashed.cache_clear()
    source_key.cache_clear()


def remember(file: Path) -> None:
    code_keys._write(file, code_keys._memory()[1])
    forget()


def test_a_remembered_key_is_the_key(cache):
    first = {file: remembered_key(file) for file in PLUGINS}
    assert first == {file: source_key(file) for file in PLUGINS}
    remember(cache)
    assert {file: remembered_key(file) for file in PLUGINS} == first
    assert not code_keys._memory()[1], "all of it was remembered"
    assert source_key.cache_info().currsize == 0, "and nothing computed"


def test_a_byte_that_changes_in_the_file_or_in_a_module_beside_it_is_seen(cache, tmp_path, monkeypatch):
    own = tmp_path / "benchmark"
    (own / "methods").mkdir(parents=True)
    (own / "identity.py").write_text("")
    monkeypatch.setattr(code_keys, "OWN", own)
    monkeypatch.setattr("benchmark.identity.__file__", str(own / "identity.py"))
    file, beside = own / "methods" / "a.py", own / "methods" / "_b.py"
    file.write_text("from benchmark.methods._b import x\n")
    keys = []
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        beside.write_text(text)
        keys.append(remembered_key(file))
        remember(cache)
    assert keys[0] == keys[2] != keys[1]
    file.write_text("from benchmark.methods._b import x as y\n")
    assert remembered_key(file) not in keys


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 3}', "{"])
def test_a_damaged_memory_is_no_memory(cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert remembered_key(PLUGINS[0]) == source_key(PLUGINS[0])
    remember(cache)
    assert source_key(PLUGINS[0]) in json.loads(cache.read_text()).values()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("")
    code_keys._write(tmp_path / "file" / "code-keys.json", {"a": "b"})
    assert (tmp_path / "file").read_text() == ""
