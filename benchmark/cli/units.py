"""Times and amounts of memory as people write them on a command line."""

from __future__ import annotations

import re

import click

from benchmark.durations import parse_duration
from benchmark.errors import UserError

_MIB = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}


def seconds(text: str) -> float:
    """Seconds of `90s`, `30min`, `1h30`."""
    try:
        return parse_duration(text)
    except UserError as error:
        raise click.BadParameter(str(error)) from None


def mebibytes(text: str) -> float:
    """MiB of `800MiB`, `4GiB`, `4G`; all units are binary."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt])(?:i?b)?\s*", text, re.ASCII | re.IGNORECASE)
    if not found or float(found[1]) == 0:
        raise click.BadParameter(f"expected an amount of memory such as 800MiB or 4GiB, found '{text}'.")
    return float(found[1]) * _MIB[found[2].lower()]
