"""What a regression check says: plain values and their JSON form, which notifications, histories and scripts read."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmark.arrays import write_bytes
from benchmark.gate.names import checked_name

VERSION = 1
"""Of the JSON form: raised when a field changes its meaning or goes away."""

Outcome = Literal["ok", "regressed", "inconclusive", "not measured"]
EXIT: Mapping[Outcome, int] = {"ok": 0, "regressed": 3, "inconclusive": 4, "not measured": 5}
"""Exit code of each outcome. 1 and 2 keep their meaning: a failure of the command itself, wrong input."""
_GRAVITY: tuple[Outcome, ...] = ("regressed", "not measured", "inconclusive", "ok")

Measure = Literal["quality", "time", "memory"]
State = Literal["unchanged", "measured", "missing", "failed", "new"]
ChangeKind = Literal["code", "commit", "library", "data", "context"]


@dataclass(frozen=True)
class Judgement:
    """One measure compared with the baseline: of a cell, of a configuration over its seeds, or of all configurations together."""

    measure: Measure
    metric: str
    """`accuracy`, `auc`, …; `seconds` alone on the machine; `peak_host_mib` or `peak_device_mib`."""
    outcome: Outcome
    improved: bool = False
    """Better by at least the margin, and significantly: never together with `regressed`."""
    before: float = math.nan
    after: float = math.nan
    loss: float = math.nan
    """How much worse it got: above 0 is worse whatever the direction of the metric. In the metric's unit; of time and memory a share."""
    low: float = math.nan
    high: float = math.nan
    """Interval of the loss at the gate's level, unadjusted; NaN where there is none."""
    margin: float = math.nan
    """A loss of so much is a regression."""
    p: float = math.nan
    """One-sided, of `no loss`, adjusted (Holm) over all that this measure was tested on; NaN where nothing was tested."""
    num: int = 0
    """Pairs of seeds, images, or measurements behind it, as `test` says."""
    test: str = ""
    """In words: `paired t over 5 seeds`, `McNemar exact over 540 images`, `the same result`, `robust z of 1 against 5 measurements`."""
    note: str = ""
    """Of an inconclusive one what would decide it, of one that was not measured why."""


@dataclass(frozen=True)
class Change:
    """One thing that differs between the baseline and now. `before` or `after` is None where it is absent on that side."""

    kind: ChangeKind
    name: str
    """`methods:ros`, `torch`, `fingerprint`, `processor`, …"""
    before: str | None
    after: str | None


@dataclass(frozen=True)
class CellVerdict:
    """One seed of a configuration. Its judgements, from stored predictions, are about the two trained networks, not about the code."""

    pair: str
    """Identity without code and data content: what the two sides share, 32 hexadecimal digits."""
    seed: int
    state: State
    before_key: str = ""
    after_key: str = ""
    reason: str = ""
    """Of a missing or failed cell."""
    changes: tuple[Change, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    command: str = ""
    """Runs this one cell again."""


@dataclass(frozen=True)
class ConfigurationVerdict:
    """All seeds of a configuration."""

    name: str
    """`ros · step ratio=5`"""
    key: str
    attributes: Mapping[str, Any]
    outcome: Outcome
    judgements: tuple[Judgement, ...]
    cells: tuple[CellVerdict, ...]


@dataclass(frozen=True)
class GateVerdict:
    """The whole check."""

    suite: str
    baseline: str
    outcome: Outcome
    summary: str
    """One sentence."""
    policy: Mapping[str, Any]
    """`quality`, `time`, `memory`: margins (null: not asked for), `alpha`, `metrics`."""
    configurations: tuple[ConfigurationVerdict, ...]
    overall: tuple[Judgement, ...] = ()
    """Of all configurations together, one per metric."""
    changes: tuple[Change, ...] = ()
    """What differs anywhere, each thing once."""
    problems: tuple[str, ...] = ()
    """Why something could not be measured: missing and failed cells, another machine."""
    regressions: tuple[str, ...] = ()
    improvements: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    """Cells that the baseline does not have."""
    accepted: float = 0.0
    """When the baseline was accepted, Unix seconds."""
    created: float = 0.0
    commit_before: str = ""
    commit_after: str = ""
    command: str = ""
    """Repeats this check."""
    version: int = VERSION

    @property
    def exit_code(self) -> int:
        return EXIT[self.outcome]

    @property
    def document(self) -> dict[str, Any]:
        """As JSON: every field by its name, `exit_code` too; a number that is not finite is null."""
        found = _plain(self)
        assert isinstance(found, dict)
        return {**found, "exit_code": self.exit_code}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Regressed before not measured before inconclusive before ok; nothing at all is `not measured`: a gate never passes on that."""
    found = set(outcomes)
    return next((outcome for outcome in _GRAVITY if outcome in found), "not measured")


def from_document(document: Mapping[str, Any]) -> GateVerdict:
    """The verdict that `document` was made of. KeyError or TypeError where it is none."""
    rest = {name: value for name, value in document.items() if name != "exit_code"}
    lists = ("problems", "regressions", "improvements", "new")
    return GateVerdict(**{
        **rest,
        **{name: tuple(rest[name]) for name in lists},
        "overall": _judgements(rest["overall"]),
        "changes": tuple(Change(**each) for each in rest["changes"]),
        "configurations": tuple(_configuration(each) for each in rest["configurations"]),
    })  # fmt: skip


def _configuration(document: Mapping[str, Any]) -> ConfigurationVerdict:
    cells = tuple(
        CellVerdict(**{**cell, "changes": tuple(Change(**c) for c in cell["changes"]), "judgements": _judgements(cell["judgements"])})
        for cell in document["cells"]
    )
    return ConfigurationVerdict(**{**document, "judgements": _judgements(document["judgements"]), "cells": cells})


def _judgements(documents: Iterable[Mapping[str, Any]]) -> tuple[Judgement, ...]:
    return tuple(_judgement({name: math.nan if value is None else value for name, value in each.items()}) for each in documents)


def _judgement(fields: Mapping[str, Any]) -> Judgement:
    return Judgement(**fields)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Archive:
    """Verdicts kept in a store: `STORE/gates/<suite>/<seconds>-<outcome>.json`, oldest first by name."""

    store: Path
    suite: str
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.store / "gates" / checked_name(self.suite))

    def keep(self, verdict: GateVerdict) -> Path:
        """Write a verdict; where it lies."""
        name = f"{round(verdict.created * 1000):015d}-{verdict.outcome.replace(' ', '-')}.json"
        write_bytes(self.folder / name, json.dumps(verdict.document, indent=1, allow_nan=False).encode())
        return self.folder / name

    def files(self) -> list[Path]:
        """Every kept verdict, the oldest first."""
        return sorted(self.folder.glob("*.json"))
