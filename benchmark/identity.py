"""Cell identity: canonical JSON, digests, and the code key of a plug-in's source.

Three keys (design): *science* says what is computed, *code* what computes it, *context* where. This module
only knows how to turn plain documents and source files into keys; what goes into them is the planner's.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import math
from pathlib import Path
from typing import Any

IDENTITY_VERSION = 1
"""Part of every key: raise it when the way a key is computed changes, and nothing old is mistaken for new."""

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""One object: json.dumps would make an encoder for each of the hundred thousand keys of a large plan."""


def canonical(document: Any) -> str:
    """One text for one meaning: keys sorted, no spaces, numbers in Python's shortest form, no NaN.

    >>> canonical({"b": (1, 2.0), "a": None})
    '{"a":null,"b":[1,2.0]}'
    """
    return _ENCODER.encode(document)


def digest(text: str) -> str:
    """128 bits of SHA-256 as 32 hexadecimal digits, the identity version included."""
    return hashlib.sha256(f"{IDENTITY_VERSION}\n{text}".encode()).hexdigest()[:32]


def as_number(value: float) -> int | float:
    """A finite float that is a whole number as an int where that loses nothing, so that 10 and 10.0 read the same."""
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else value


@functools.cache
def source_key(path: Path) -> str:
    """Key of the meaning of a Python file and its `sources`, the same under every Python version: docstrings and formatting left out."""
    return digest("\n".join(_meaning(file) for file in sources(path)))


def sources(path: Path) -> list[Path]:
    """A Python file, then the modules beside it that it imports, and those that they import.

    In skewbench's own folders those whose names start with an underscore (the others are plug-ins with keys of their own), elsewhere all.
    """
    found, left = {path}, [path]
    while left:
        new = set(_siblings(left.pop())) - found
        found |= new
        left += new
    return [path, *sorted(found - {path})]


def _siblings(path: Path) -> list[Path]:
    """The modules beside a file that it names in an import; of a package all its files."""
    is_own = path.resolve().is_relative_to(Path(__file__).parent)
    names = [name for name in _imported(_parsed(path)) if name.startswith("_") or not is_own]
    modules = [path.with_name(f"{name}.py") for name in names]
    packages = [file for name in names if not is_own for file in path.with_name(name).rglob("*.py")]
    return [file for file in (*modules, *packages) if file.is_file()]


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imported(tree: ast.Module) -> set[str]:
    """Every part of every dotted name in the imports: which of them is a file is not told by the name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            found.update(module.split("."), *(alias.name.split(".") for alias in node.names))
    return found - {"", "*", "__future__"}


def _meaning(path: Path) -> str:
    return canonical(_plain(_without_docstrings(_parsed(path))))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _plain(node: object) -> object:
    """A syntax tree as JSON, since `ast.unparse` and `ast.dump` differ between versions. Empty fields are left out: new ones are added."""
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", [_plain(part) for part in node.values if getattr(part, "value", None) != ""]]  # Python 3.12 adds empty texts
    if isinstance(node, ast.AST):
        fields = {name: getattr(node, name, None) for name in node._fields if name != "kind"}  # u"" is ""
        return [type(node).__name__, {name: _plain(value) for name, value in fields.items() if value is not None and value != []}]
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return f"{type(node).__name__} {ascii(node)}"  # a constant or a name; ascii: which characters repr shows depends on the version
