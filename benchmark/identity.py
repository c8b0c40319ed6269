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


def canonical(document: Any) -> str:
    """One text for one meaning: keys sorted, no spaces, numbers in Python's shortest form, no NaN.

    >>> canonical({"b": (1, 2.0), "a": None})
    '{"a":null,"b":[1,2.0]}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    """128 bits of SHA-256 as 32 hexadecimal digits, the identity version included."""
    return hashlib.sha256(f"{IDENTITY_VERSION}\n{text}".encode()).hexdigest()[:32]


def as_number(value: float) -> int | float:
    """A finite float that is a whole number as an int where that loses nothing, so that 10 and 10.0 read the same."""
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else value


@functools.cache
def source_key(path: Path) -> str:
    """Key of a Python file's meaning: comments, formatting and docstrings left out.

    The modules beside it whose names start with an underscore, and which it imports, count as part of it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    parts = [ast.unparse(_without_docstrings(tree))]
    parts += [source_key(helper) for helper in _private_siblings(tree, path)]
    return digest("\n".join(parts))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _private_siblings(tree: ast.Module, path: Path) -> list[Path]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {(node.module or "").rpartition(".")[2]} | {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names}
    found = (path.with_name(f"{name}.py") for name in sorted(names) if name.startswith("_") and name != "__future__")
    return [file for file in found if file.is_file()]
