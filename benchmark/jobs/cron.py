"""A cron line as cron(5) reads it, strictly: five fields, numbers, names, ranges, steps and lists; nothing is guessed.

Two rules of cron are kept that schedulers get wrong: Sunday is 0 (and 7), and where both days are restricted, that is where neither field
begins with a `*`, either of them is enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import UserError, shown

ALIASES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PART = re.compile(r"(\*|[0-9a-z]+(?:-[0-9a-z]+)?)(?:/([0-9]+))?", re.ASCII)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first: int = 0
    """The number of the first name."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of the week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True)
class Cron:
    """When a job is due. Each field: the values that match, ascending; None for `*`, which matches all. Weekdays: 0 is Sunday."""

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None
    line: str
    """The five fields as any cron takes them."""
    is_either: bool
    """Whether a day is due if one of `days` and `weekdays` matches; else both must."""

    @property
    def day_choices(self) -> tuple[tuple[tuple[int, ...] | None, tuple[int, ...] | None], ...]:
        """Pairs of days and weekdays of which both must match; a day is due if any pair matches."""
        if self.is_either:
            return ((self.days, None), (None, self.weekdays))
        return ((self.days, self.weekdays),)


def parse_cron(text: str) -> Cron:
    """`0 3 * * *`, `*/15 8-18 * * mon-fri`, `@daily`. UserError that names the field for anything else."""
    given = text.strip().lower()
    words = ALIASES.get(given, given).split()
    if len(words) != len(_FIELDS) or not given.isprintable():
        names = ", ".join(field.name for field in _FIELDS)
        raise UserError(f"expected a cron line of five fields ({names}) such as '0 3 * * *', or @daily, found {shown(text)}.")
    minutes, hours, days, months, weekdays = (_values(word, field) for word, field in zip(words, _FIELDS, strict=True))
    if weekdays is not None:
        weekdays = tuple(sorted({day % 7 for day in weekdays}))
    is_either = not words[2].startswith("*") and not words[4].startswith("*")
    cron = Cron(minutes, hours, days, months, weekdays, " ".join(words), is_either)
    _check_days(cron, text)
    return cron


def _values(word: str, field: _Field) -> tuple[int, ...] | None:
    found: set[int] = set()
    for part in word.split(","):
        hit = _PART.fullmatch(part)
        if hit is None:
            raise _wrong(part, field)
        low, high = _range(hit[1], field)
        step = int(hit[2] or 1)
        if step < 1 or low > high or (hit[2] and hit[1] != "*" and "-" not in hit[1]):
            raise _wrong(part, field)
        if hit[1] == "*" and step == 1:
            return None
        found.update(range(low, high + 1, step))
    return tuple(sorted(found))


def _range(text: str, field: _Field) -> tuple[int, int]:
    if text == "*":
        return field.low, field.high - (field.high == 7)  # Sunday is not counted twice
    low, _, high = text.partition("-")
    return _number(low, field), _number(high or low, field)


def _number(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names.index(text) + field.first
    if not text.isdecimal() or not field.low <= int(text) <= field.high:
        raise _wrong(text, field)
    return int(text)


def _wrong(text: str, field: _Field) -> UserError:
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return UserError(
        f"the {field.name} of a cron line is *, a number of {field.low} to {field.high}{names}, a range a-b, a step */n or a-b/n, or a "
        f"list of these, found {shown(text)}."
    )


def _check_days(cron: Cron, text: str) -> None:
    """A 31st of February would wait for ever."""
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    months: Sequence[int] = cron.months or range(1, 13)
    if cron.days and not cron.is_either and all(min(cron.days) > longest.get(month, 31) for month in months):
        raise UserError(f"the cron line {shown(text)} is never due: no such day in these months.")
