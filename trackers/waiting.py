"""What the tracker still lacks of a store, and why the last writing failed. Imports no MLflow."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.records import CellResult
from trackers.location import default_uri, redact
from trackers.mirror import Mirror

FILE = "tracker-trouble.json"
"""In the store: by suite and tracker the last writing, if it failed."""


@dataclass(frozen=True)
class Trouble:
    """A writing that failed. `message` is fit to be shown; `when` in Unix seconds."""

    message: str
    when: float


@dataclass(frozen=True)
class Waiting:
    """Cells of a suite that the tracker at `uri` (fit to be shown) does not have as they are."""

    uri: str
    cells: int
    trouble: Trouble | None


def waiting(store: Path, suite: str, cells: Sequence[CellResult]) -> Waiting:
    """How many of the cells wait for the tracker of this store, and why. Raises TrackerError if our record of it cannot be read."""
    uri = default_uri(store)
    pending = Mirror(store).pending(uri, cells)
    found = _read(store).get(_key(suite, uri))
    return Waiting(redact(uri), len(pending), Trouble(**found) if found and pending else None)


def note_trouble(store: Path, suite: str, message: str) -> None:
    """Keep why a writing failed until one succeeds."""
    _write(store, {**_read(store), _key(suite, default_uri(store)): asdict(Trouble(redact(message), time.time()))})


def clear_trouble(store: Path, suite: str) -> None:
    """A writing has succeeded."""
    known, key = _read(store), _key(suite, default_uri(store))
    if key in known:
        _write(store, {name: value for name, value in known.items() if name != key})


def _key(suite: str, uri: str) -> str:
    return f"{suite} {redact(uri)}"


def _read(store: Path) -> Mapping[str, Any]:
    try:
        found = json.loads((store / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: it only explains, the mirror knows what waits
        return {}
    return found if isinstance(found, dict) else {}


def _write(store: Path, known: Mapping[str, Any]) -> None:
    """Whole or not at all. Where the disk is full it cannot be kept: the warning was shown, and that is no reason to fail."""
    file = store / FILE
    part = file.with_name(f"{FILE}.{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(file)
