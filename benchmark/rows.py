"""Rows of a ledger as values, and how they are written in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pydantic_core

from benchmark.arrays import StoredFile
from benchmark.records import CellResult, Status

StageStatus = Literal["ok", "failed"]


@dataclass(frozen=True)
class StageRow:
    """How a stage ended."""

    key: str
    science_key: str
    op: str
    owner: str
    code: Mapping[str, str]
    status: StageStatus
    kind: str = ""
    """Of a failure: out-of-memory, not-finite, error, …"""
    message: str = ""
    log_tail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Small results that reports read: curve, number of parameters, …"""
    profile: Mapping[str, float] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    file: StoredFile | None = None
    """None: nothing stored, or released since no stage needs it any more."""
    damage: str = ""
    """What is plainly wrong with the file: missing, or of another size."""
    started: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Scored:
    """How a recorded cell stands."""

    status: Status
    scoring: str
    """Key of the metrics that scored it."""
    reason: str


@dataclass(frozen=True)
class Past:
    """What a finished stage took: what prices are made from."""

    key: str
    parent: str | None
    op: str
    config: Mapping[str, Any]
    profile: Mapping[str, float]
    context: Mapping[str, Any]


def pasts(rows: Iterable[tuple[str, str | None, str, str, str, str]]) -> list[Past]:
    """Of rows (key, parent, operation, configuration, profile, context), the last three as JSON."""
    contexts: dict[str, Mapping[str, Any]] = {}  # a few distinct texts stand in thousands of rows
    found = []
    for key, parent, op, config, profile, context in rows:
        if context not in contexts:
            contexts[context] = parsed(context)
        found.append(Past(key, parent, op, parsed(config), parsed(profile), contexts[context]))
    return found


def parsed(text: str) -> Any:
    """A JSON text's value, twice as fast as Python's own reader: a large ledger holds tens of thousands of them."""
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return json.loads(text)  # half characters, as a damaged file name may hold, which Python alone takes


def file_text(file: StoredFile | None) -> str | None:
    return json.dumps(asdict(file)) if file else None


def stored_file(text: str | None) -> StoredFile | None:
    return StoredFile(**parsed(text)) if text else None


def cell_result(data: dict[str, Any]) -> CellResult:
    data["confusion_KK"] = data["confusion_KK"] and tuple(tuple(row) for row in data["confusion_KK"])
    data["curve"] = tuple(map(tuple, data["curve"]))  # JSON keeps whole numbers and others apart
    history = data.get("history", {})  # records of before there was one have none
    data["history"] = {name: tuple(map(tuple, points)) for name, points in history.items()}
    for name in ("class_names", "class_counts", "sampled_counts"):
        data[name] = tuple(data[name])
    return CellResult(**data)
