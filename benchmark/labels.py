"""Short, unambiguous names for conditions (what is compared under) and rows (what is compared), from the cells' attributes."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.identity import as_number, canonical
from benchmark.records import CellResult

Attributes = Mapping[str, str | int | float | bool | None]
PARTS = ("dataset", "imbalance", "model", "recipe")
"""The parts that come first in a condition's label, in this order; parts that are not known here follow."""
_IMBALANCE, _NATURAL = PARTS[1], "natural"
RATIO = f"{_IMBALANCE}.ratio"
"""How strong an imbalance is: said even where it does not vary."""
ROW = "method"
SELECTION = "selection"
"""How a cell was chosen among others, where a suite selects: see benchmark.selection."""
BASE = "base"
"""The parameter that names the method under a method: `thresholding(ros)`."""
_SEPARATOR = " · "
_LIMIT = 32
"""Longest value in a label, in characters."""


@dataclass(frozen=True)
class Labels:
    """Names of one suite's cells: `condition` and `row` by `config_key`."""

    condition: Mapping[str, str]
    data: Mapping[str, str]
    """The data set and the imbalance alone: what class counts go by."""
    row: Mapping[str, str]


def label(cells: Sequence[CellResult]) -> Labels:
    """Name what varies within these cells; where nothing does, the data set, the imbalance with its ratio and the model."""
    attributes = {cell.config_key: cell.attributes for cell in cells}
    parts = _parts(attributes.values())
    data = [part for part in parts if part in PARTS[:2]]
    return Labels(condition=_conditions(attributes, parts), data=_conditions(attributes, data), row=_rows(attributes))


def _parts(found: Iterable[Attributes]) -> list[str]:
    present = {key.partition(".")[0] for item in found for key in item} - {ROW}
    first = (SELECTION, *PARTS)  # how a cell was chosen stands in front: long labels are cut at the end
    return [part for part in first if part in present] + sorted(present - set(first))


def _conditions(attributes: Mapping[str, Attributes], parts: Sequence[str]) -> dict[str, str]:
    own = {key: {k: v for k, v in item.items() if k.partition(".")[0] in parts} for key, item in attributes.items()}
    varying = _varying(own.values())
    if not varying - {SELECTION}:
        varying |= {part for part in parts if part != "recipe"} | {RATIO}
        own = {key: item | ({_IMBALANCE: _NATURAL} if item.get(_IMBALANCE) == "none" else {}) for key, item in own.items()}
    texts = {key: _SEPARATOR.join(filter(None, (_part(item, part, varying) for part in parts))) for key, item in own.items()}
    return _unique({key: text or "default" for key, text in texts.items()}, own)


def _part(attributes: Attributes, part: str, varying: set[str]) -> str:
    """`step ratio=100`; a name stands wherever it or one of its parameters varies. None is left unsaid."""
    wanted = {key for key in varying if key == part or key.startswith(f"{part}.")}
    if not wanted or not any(key == part or key.startswith(f"{part}.") for key in attributes):
        return ""
    short = _short_names(wanted, part)
    shown = [f"{short[key]}={_value(attributes[key])}" for key in attributes if key in short and attributes[key] is not None]
    name = [_value(attributes[part])] if part in attributes else []
    return " ".join(name + shown) or f"{part} default"


def _short_names(keys: Iterable[str], part: str) -> dict[str, str]:
    """The last word of a dotted key, or all of it after the part where two keys end alike."""
    inner = [key for key in keys if key != part]
    endings = [key.rpartition(".")[2] for key in inner]
    return {key: end if endings.count(end) == 1 else key.removeprefix(f"{part}.") for key, end in zip(inner, endings, strict=True)}


def _rows(attributes: Mapping[str, Attributes]) -> dict[str, str]:
    own = {key: {k: v for k, v in item.items() if k.partition(".")[0] == ROW} for key, item in attributes.items()}
    families: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, item in own.items():
        families[_chain(item)].append(key)
    texts: dict[str, str] = {}
    for keys in families.values():
        varying = _varying(own[key] for key in keys)
        texts |= {key: _row(own[key], ROW, varying) for key in keys}
    return _unique(texts, own)


def _chain(attributes: Attributes) -> tuple[str, ...]:
    """The method's name, its base's name, and so on down."""
    names, prefix = [], ROW
    while prefix in attributes:
        names.append(str(attributes[prefix]))
        prefix = f"{prefix}.{BASE}"
    return tuple(names)


def _row(attributes: Attributes, prefix: str, varying: set[str]) -> str:
    base = f"{prefix}.{BASE}"
    own = [key for key in attributes if key in varying and key.startswith(f"{prefix}.")]
    own = [key for key in own if key != base and not key.startswith(f"{base}.")]
    short = _short_names(own, prefix)
    text = _value(attributes.get(prefix, "?"))
    if attributes.get(base) is not None:
        text += f"({_row(attributes, base, varying)})"
    return " ".join([text, *(f"{short[key]}={_value(attributes[key])}" for key in own)])


def _varying(found: Iterable[Attributes]) -> set[str]:
    """The attributes that take two values or more where they are present, and how runs were selected: that is always said."""
    values: dict[str, set[str]] = defaultdict(set)
    for item in found:
        for key, value in item.items():
            values[key].add(_meaning(value))
    return {key for key, seen in values.items() if len(seen) > 1 or key == SELECTION}


@functools.lru_cache(maxsize=4096, typed=True)
def _meaning(value: str | int | float | bool | None) -> str:
    """Text that differs exactly where values do: 10 and 10.0 are one, True and 1 are two."""
    if isinstance(value, float):
        return str(as_number(value))
    return canonical(value)


def _value(value: str | int | float | bool | None) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    text = str(as_number(value) if isinstance(value, float) else value)
    return text if len(text) <= _LIMIT else f"{text[: _LIMIT - 1]}…"


def _unique(texts: Mapping[str, str], own: Mapping[str, Attributes]) -> dict[str, str]:
    """The texts, numbered where different attributes came to the same one (long values are cut)."""
    meanings: dict[str, dict[str, int]] = defaultdict(dict)
    numbered = {}
    for key, text in texts.items():
        meaning = canonical({name: _meaning(value) for name, value in own[key].items()})
        number = meanings[text].setdefault(meaning, len(meanings[text]) + 1)
        numbered[key] = text if number == 1 else f"{text} #{number}"
    return numbered
