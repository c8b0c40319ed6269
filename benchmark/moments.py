"""What a history is made of: measurements of cells, rounds of them, series that may be compared, and changes of their level."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmark.identity import canonical, digest
from benchmark.records import Attribute

TIME, MEMORY = "time", "memory"
"""Names for what a cell took: seconds of all its stages; the peak on the device in MiB, on the host where there is none."""
UNITS: Mapping[str, str] = {TIME: "s", MEMORY: "MiB"}
Kind = Literal["step", "drift"]


@dataclass(frozen=True)
class Point:
    """What the history keeps of one finished cell: small enough to be kept for ever."""

    suite: str
    cell: str
    """Its key: science and code, 32 hexadecimal digits."""
    attributes: Mapping[str, Attribute]
    seed: int
    ended: float
    """Unix seconds."""
    commit: str
    context: str
    """Digest of where it was computed, the code's version left out: 32 hexadecimal digits."""
    where: str
    """The same for people: host, device, threads."""
    metrics: Mapping[str, float]
    """Headline numbers: those of classes and parts are left out."""
    profile: Mapping[str, float]
    """Seconds and MiB by the names of CellResult.profile, with `time` and `memory`, and the flags."""

    @functools.cached_property
    def series_key(self) -> str:
        """Identity of its configuration whatever the code and the data's content: 32 hexadecimal digits."""
        return digest(canonical(dict(self.attributes)))

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """A level that changed between two moments of a series."""

    index: int
    """The first moment of the new level."""
    before: float
    after: float
    """Mean levels."""
    p: float
    """Of t-tests between the two levels; 0 where both repeat exactly."""
    kind: Kind
    is_better: bool | None
    """None where the metric has no direction that is known."""

    @property
    def relative(self) -> float:
        """Change as a share of the level before; infinite from 0."""
        return (self.after - self.before) / abs(self.before) if self.before else math.copysign(math.inf, self.after - self.before)


@dataclass(frozen=True)
class Moment:
    """One round over the seeds at one commit."""

    at: float
    """Unix seconds at which its last cell ended."""
    commit: str
    value: float
    """Mean over its seeds; where a seed is missing, less what the seeds that are there differ from all by in the other moments."""
    num: int
    """Seeds."""


@dataclass(frozen=True)
class Series:
    """One configuration's metric over time."""

    key: str
    label: str
    metric: str
    higher_is_better: bool | None
    where: str
    """Of times and memories: the context they have in common; empty for scores."""
    moments: tuple[Moment, ...]
    changes: tuple[Change, ...] = ()

    @property
    def values(self) -> list[float]:
        return [moment.value for moment in self.moments]
