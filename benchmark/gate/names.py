"""Names of baselines, and of suites as folders: what is safe as a file name everywhere."""

from __future__ import annotations

import re

from benchmark.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def checked_name(name: object) -> str:
    """The name, if it can be one of a file. UserError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(f"{name!r} cannot be a name here: use up to 100 letters, digits, '.', '_' and '-', a letter or digit first.")
    return name
