"""The errors that a user can mend, and how they are worded: what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

Path = tuple[str | int, ...]


class SkewbenchError(Exception):
    """Base of every error that skewbench raises on purpose."""


class UserError(SkewbenchError):
    """Something the user can mend: shown without a traceback, exit code 2."""


class InvalidValue(UserError):
    """A value in a suite is wrong; `path` says where inside the document, so that the reader can name the line."""

    def __init__(self, problem: str, *, path: Path = (), at_key: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path
        self.at_key = at_key


class DataError(UserError):
    """A data set is absent, damaged or not what it says it is."""


class LedgerError(SkewbenchError):
    """The local store is damaged or was written by another version."""


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the nearest one that is."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"unknown {what} '{name}'.{hint} Known: {', '.join(names) or 'none'}."


def shown(value: Any, *, limit: int = 60) -> str:
    """A value as it stands in an error message: short, on one line, with its type if it is no plain scalar."""
    text = repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"dict": f"a mapping {text}", "list": f"a list {text}"}.get(type(value).__name__, text)
