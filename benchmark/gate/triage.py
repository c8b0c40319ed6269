"""What changed between the baseline and now: code, commit, libraries, data, context."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.gate.cost import differences
from benchmark.gate.verdict import Change
from benchmark.plan import changed
from benchmark.records import CellResult

LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "python")
"""Fields of a cell's context that are versions."""


def changes(before: CellResult, after: CellResult) -> tuple[Change, ...]:
    """Of one cell: which plug-ins' code keys, the commit, libraries that computed it, the data's content, the machine."""
    code = [Change("code", name, before.code.get(name), after.code.get(name)) for name in changed(before.code, after.code)]
    commit = _field("commit", "code_version", before.context, after.context)
    data = _field("data", "fingerprint", before.resolved, after.resolved)
    places = differences(before.context, after.context)
    told = [Change("library" if each.name in LIBRARIES else "context", each.name, each.before, each.after) for each in places]
    return (*code, *commit, *data, *sorted(told, key=lambda each: each.kind != "library"))


def _field(kind: Any, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    old, new = before.get(name), after.get(name)
    return [] if old == new else [Change(kind, name, None if old is None else str(old), None if new is None else str(new))]


def installed() -> dict[str, str]:
    """Every distribution of this environment with its version: what a lock file would say."""
    found = {}
    for each in importlib.metadata.distributions():
        name = each.metadata["Name"]
        if name:
            found[name.lower().replace("_", "-")] = each.version
    return dict(sorted(found.items()))


def lock_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Distributions that were added, removed, or have another version."""
    return [Change("library", name, before.get(name), after.get(name)) for name in changed(before, after)]


def commit_of(folder: Path) -> str:
    """The git commit of the folder's checkout, `+dirty` if it has changes; empty where it is none."""
    try:
        ask = ["git", "-C", str(folder), "describe", "--always", "--dirty=+dirty", "--abbrev=12", "--exclude=*"]
        done = subprocess.run(ask, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def stale_context(cell: CellResult, now: Mapping[str, Any]) -> list[Change]:
    """Libraries with which a reused result was computed that are others now: a reused result says nothing about those."""
    return [
        Change("library", name, str(cell.context[name]), str(now[name]))
        for name in LIBRARIES
        if name in now and name in cell.context and cell.context[name] != now[name]
    ]


def once(found: Sequence[Change]) -> tuple[Change, ...]:
    """Each change once, in the order of kinds."""
    order = ("commit", "code", "library", "data", "context")
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (order.index(each.kind), each.name)))
