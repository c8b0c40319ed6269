"""Annotations of parameters, read: which types a field of a class takes."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any


@functools.cache
def types_of(cls: Hashable) -> Mapping[str, Any]:
    """The types of a class's annotations, resolved."""
    assert isinstance(cls, type)
    return typing.get_type_hints(cls)


def is_optional(hint: Any) -> bool:
    """True where null is a value of the parameter."""
    return type(None) in typing.get_args(hint)


def takes_list(hint: Any) -> bool:
    """True where a list is one value of the parameter rather than an axis of several."""
    parts = (hint, *typing.get_args(hint))
    return any(typing.get_origin(part) in (tuple, list) for part in parts)


def is_whole(cls: Hashable, name: str) -> bool:
    """True where a parameter takes whole numbers and no others."""
    parts = members(types_of(cls)[name])
    return int in parts and float not in parts


def is_number(cls: Hashable, name: str) -> bool:
    """True where a parameter takes numbers."""
    return bool({int, float} & members(types_of(cls)[name]))


def members(hint: Any) -> set[Any]:
    """A type, or the members of a union, None left out."""
    found = set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
    return found - {type(None)}


def in_words(hint: Any) -> str:
    """What a parameter of this type takes: `a whole number`."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
    parts = members(hint)
    return words[parts.pop()] if len(parts) == 1 and parts <= words.keys() else str(hint).replace("typing.", "")
