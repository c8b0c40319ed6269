"""The errors that a user can mend, and how they are worded: what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

Path = tuple[str | int, ...]

ALIASES = {
    "acc": "accuracy",
    "oversampling": "ros",
    "undersampling": "rus",
    "learningrate": "lr",
    "batchsize": "batch",
}
"""Other people's words for ours, as `folded` writes them."""
_PLUGGABLE = ("dataset", "imbalance", "method", "model", "metric")
_NEAR = 0.7
"""Likeness from which a name is offered: at two thirds `smote` would be answered with `step`."""


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
    near = nearest(str(name), names)
    hint = f" Did you mean '{near}'?" if near else ""
    own = " Your own? Add --plugins FOLDER." if what in _PLUGGABLE else ""
    return f"unknown {what} '{name}'.{hint} Known: {', '.join(names) or 'none'}.{own}"


def folded(name: str) -> str:
    """A name without case, '-', '_' and ' ': what two spellings of one word share."""
    return "".join(letter for letter in name.casefold() if letter not in "-_ ")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: spelt otherwise, by its alias, as the end of a dotted path, with letters swapped, or misspelt."""
    names = sorted(known, key=lambda item: (len(item), item))
    word = folded(name)
    for meant in (word, ALIASES.get(word, word)):
        for key in (folded, lambda item: folded(item.rpartition(".")[2])):
            found = [item for item in names if key(item) == meant]
            if found:
                return found[0]
    swapped = [item for item in names if sorted(folded(item)) == sorted(word)]
    return next(iter(swapped or difflib.get_close_matches(name, names, n=1, cutoff=_NEAR)), None)


def shown(value: Any, *, limit: int = 60) -> str:
    """A value as it stands in an error message: short, on one line, with its type if it is no plain scalar."""
    text = repr(value)
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return {"dict": f"a mapping {text}", "list": f"a list {text}"}.get(type(value).__name__, text)
