"""What the claims and printed numbers of a study come to on measured cells: frozen values, as in `benchmark.records`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["supported", "contradicted", "inconclusive", "not tested"]


@dataclass(frozen=True)
class Selection:
    """Choosing among runs that differ in some attributes by a score: `validation.auc`, or `test.auc` as some studies did."""

    by: tuple[str, ...]
    """One or several rules; claims go by the first."""
    over: tuple[str, ...]
    """Attributes, `seed` among them where the best single run counts."""


@dataclass(frozen=True)
class Effect:
    """A claim under one condition: the left side minus the right side of its relation, the tolerance left out."""

    condition: str
    relation: str
    """As it must hold: `a >= b - 0.002`."""
    mean: float
    """NaN where nothing was measured."""
    low: float
    high: float
    """Two-sided 95 % Student t interval over seeds, unadjusted; NaN below two seeds."""
    num: int
    """Seeds that both sides have."""
    holds: bool
    """Whether the mean lies on the claimed side."""


@dataclass(frozen=True)
class ClaimResult:
    """A study's statement put to the test on measured cells."""

    id: str
    says: str
    source: str
    expected: str
    """The relation with its tolerance and how often it must hold, in words."""
    metric: str
    verdict: Verdict
    p: float = math.nan
    """Two-sided, adjusted (Holm) for the claims of the suite that could be tested; NaN where not tested."""
    effects: tuple[Effect, ...] = ()
    note: str = ""
    """Why it was not tested, or what would decide an inconclusive one."""
    about: tuple[str, ...] = ()
    """Keys of the configurations whose cells stand on its sides, measured or not."""


@dataclass(frozen=True)
class ReferenceResult:
    """A number printed in a study beside the measured one."""

    id: str
    where: str
    """The cells it is about, in words."""
    metric: str
    published: float | None
    """None for a number that the study shows only in a figure."""
    source: str
    measured: float = math.nan
    """Mean over seeds; NaN where nothing comparable was measured."""
    half_width: float = math.nan
    num: int = 0
    comparable: bool = True
    """False where data or recipe differ, as `note` says: levels must not be compared then."""
    note: str = ""
