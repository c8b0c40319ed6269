"""Code keys of our own plug-ins, remembered between commands: reading a syntax tree takes a hundred times as long as hashing its file."""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmark.identity import IDENTITY_VERSION, source_key
from benchmark.places import default_folders

OWN = Path(__file__).parent
MOST = 2000
"""Entries kept; with more the memory begins anew."""


def remembered_key(path: Path) -> str:
    """`source_key(path)`; from memory where neither the file nor a module that it may import has changed by a byte.

    Own plug-ins only: what other people's files import may be anywhere beside them.
    """
    if path.parent.parent != OWN:
        return source_key(path)
    known, new = _memory()
    mark = _mark([path, *sorted(path.parent.glob("_*.py"))])
    if mark not in known:
        known[mark] = new[mark] = source_key(path)
    return known[mark]


def _mark(files: Iterable[Path]) -> str:
    """Names and bytes of the files, and what turns them into a key."""
    parts = [str(IDENTITY_VERSION), _hashed(OWN / "identity.py"), *(part for file in files for part in (file.name, _hashed(file)))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@functools.cache
def _hashed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@functools.cache
def _memory() -> tuple[dict[str, str], dict[str, str]]:
    """What is remembered, and what this process adds to it when it ends."""
    new: dict[str, str] = {}
    file = default_folders().cache / "code-keys.json"
    atexit.register(_write, file, new)
    return _read(file), new


def _read(file: Path) -> dict[str, str]:
    """Empty where there is nothing to be read: then keys are computed, as if for the first time."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_sound = isinstance(found, dict) and all(isinstance(key, str) for key in found.values())
    return found if is_sound else {}


def _write(file: Path, new: dict[str, str]) -> None:
    if not new:
        return
    kept = _read(file) | new
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".code-keys-", dir=file.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as text:
            json.dump(kept if len(kept) <= MOST else new, text)
        os.replace(name, file)
