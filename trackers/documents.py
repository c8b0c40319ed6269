"""Records as JSON and back: what is written to the tracker is read by the same types, so that nothing changes on the way.

JSON has no NaN: a number that is not finite is written as the text `nan`, `inf` or `-inf`. URIs lose their passwords.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from benchmark.moments import Series
from trackers.location import redact

Record = TypeVar("Record")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
"""Without indentation: with it Python's encoder is no longer the one in C, and took a fifth of a large sync's time."""


_AS_IT_IS = (int, type(None))


def as_json(value: Mapping[str, object] | Sequence[object]) -> bytes:
    """A document with a line per field or item, UTF-8; half characters, as a damaged file name may hold, are escaped."""
    whole = plain(value)
    if isinstance(whole, dict):
        begin, end = "{", "}"
        lines = [f" {_ENCODER.encode(name)}: {_ENCODER.encode(item)}" for name, item in whole.items()]
    else:
        begin, end = "[", "]"
        lines = [f" {_ENCODER.encode(item)}" for item in whole]
    return "\n".join([begin, ",\n".join(lines), end]).encode("utf-8", "backslashreplace")


def plain(value: object) -> Any:
    """As plain JSON; fields of records by their names."""
    if isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return redact(value) if ":" in value or "=" in value else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return str(value)


def record(kind: type[Record], document: Mapping[str, Any]) -> Record:
    """The record that `plain` was given; fields that the document lacks get their defaults, those that nobody knows are left out."""
    readers = field_readers(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(**{name: reader(document[name]) for name, reader in readers.items() if name in document})


@functools.cache
def field_readers(kind: type) -> dict[str, Callable[[Any], Any]]:
    """By field of a record: from JSON to a value of the field's type."""
    hints = typing.get_type_hints(kind, localns={"Series": Series})  # which the records name and cannot import
    return {item.name: reader_of(hints[item.name]) for item in dataclasses.fields(kind) if item.init}


def reader_of(hint: Any) -> Callable[[Any], Any]:
    """From JSON to a value of this type: tuples, mappings, numbers that are not finite, records; anything else as it is."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is float:
        return float  # of `nan` and `inf` too
    if dataclasses.is_dataclass(hint):
        return functools.partial(record, hint)  # type: ignore[arg-type]  # hint is a class here
    if origin is tuple:
        return _tuple_reader(inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_reader(reader_of(inner[1]))
    if origin in (typing.Union, types.UnionType) and len(kinds := [each for each in inner if each is not types.NoneType]) == 1:
        return _optional_reader(reader_of(kinds[0]))
    return _same


def _same(value: Any) -> Any:
    return value


def _tuple_reader(inner: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(inner) == 2 and inner[1] is Ellipsis:
        read = reader_of(inner[0])
        return lambda value: tuple(value) if read is _same else tuple(map(read, value))
    readers = [reader_of(each) for each in inner]
    return lambda value: tuple(read(item) for read, item in zip(readers, value, strict=True))


def _mapping_reader(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: dict(value) if read is _same else {key: read(item) for key, item in value.items()}


def _optional_reader(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)
