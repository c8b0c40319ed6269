"""Times as people write them."""

from __future__ import annotations

import re

from benchmark.errors import UserError

_UNITS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `30min`, `2h`, `1h30` (minutes after hours need no unit), `1d`; UserError for anything else and for nothing."""
    given = text.strip().lower()
    if re.fullmatch(r"\d+h\s*\d+", given, re.ASCII):
        given += "min"
    found = _PART.findall(given)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in found)
    if not found or _PART.sub("", given).strip() or seconds <= 0:
        raise UserError(f"expected a time such as 90s, 30min, 2h, 1h30 or 1d, found '{text}'.")
    return seconds
