"""A suite's results as one file, but for what the runs of its cells say themselves: `results.json.gz`, from which `pull` begins.

It holds every planned cell in plan order, so also those that have not run; what is equal in many cells stands once.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.records import CellResult, SuiteResults
from trackers.documents import field_readers, plain, record
from trackers.layout import has_run
from trackers.location import TrackerError

FORMAT = 1
FILE = "results.json.gz"
OF_THE_RUN = ("reason", "log_tail", "metrics", "confusion_KK", "curve", "history", "profile", "context", "started", "ended")
"""What a cell's own run says, and only that."""


@dataclass(frozen=True)
class SuiteDocument:
    """A suite as the file has it. `results.cells`: those with a run of their own as if they had not run."""

    results: SuiteResults
    variant: str
    """Which choice of cells it is of; empty: the whole suite."""
    with_run: frozenset[str]
    """Keys of the cells that had a run of their own."""


@dataclass
class _Pool:
    """Values by number; equal ones have the same."""

    values: list[Any] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


def suite_document(results: SuiteResults, variant: str) -> bytes:
    """The same results give the same bytes."""
    names = [item.name for item in dataclasses.fields(CellResult)]
    pool = _Pool()
    rows = [_row(cell, names, pool) for cell in results.cells]
    document = {
        "format": FORMAT,
        "variant": variant,
        "suite": plain(dataclasses.replace(results, cells=())),
        "fields": names,
        "values": pool.values,
        "cells": rows,
        "with_run": [number for number, cell in enumerate(results.cells) if has_run(cell)],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return gzip.compress(text.encode("utf-8", "backslashreplace"), 6, mtime=0)


def _row(cell: CellResult, names: list[str], pool: _Pool) -> list[int]:
    """A number per field; in a mapping each value has one, since cells share most of what they are made of."""
    base = dataclasses.replace(cell, status="missing", **_BLANK) if has_run(cell) else cell
    row = []
    for name in names:
        value = plain(getattr(base, name))
        row.append(pool.number({key: pool.number(item) for key, item in value.items()} if isinstance(value, dict) else value))
    return row


_BLANK: Mapping[str, Any] = {
    item.name: item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
    for item in dataclasses.fields(CellResult)
    if item.name in OF_THE_RUN
}


def suite_digest(results: SuiteResults, variant: str) -> str:
    """Changes whenever the document does; quicker to make."""
    cells = [(cell.key, cell.seed, cell.shared_with, "" if has_run(cell) else (cell.status, cell.reason)) for cell in results.cells]
    text = json.dumps([FORMAT, variant, plain(dataclasses.replace(results, cells=())), cells])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_suite_document(data: bytes) -> SuiteDocument:
    """TrackerError where the file is damaged or of another version."""
    try:
        document = json.loads(gzip.decompress(data))
        if document["format"] != FORMAT:
            raise TrackerError(f"{FILE} has format {document['format']}, this skewbench reads {FORMAT}: use the version that wrote it.")
        values, readers = document["values"], field_readers(CellResult)
        cells = [_cell(dict(zip(document["fields"], row, strict=True)), values, readers) for row in document["cells"]]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
        raise TrackerError(f"{FILE} is damaged ({error}): `skewbench sync --check` from the store that made it writes it anew.") from error
    results = dataclasses.replace(record(SuiteResults, document["suite"]), cells=tuple(cells))
    return SuiteDocument(results, document["variant"], frozenset(cells[number].key for number in document["with_run"]))


def _cell(row: Mapping[str, int], values: list[Any], readers: Mapping[str, Any]) -> CellResult:
    found = {name: values[number] for name, number in row.items() if name in readers}
    opened = {
        name: {key: values[number] for key, number in value.items()} if isinstance(value, dict) else value for name, value in found.items()
    }
    return CellResult(**{name: readers[name](value) for name, value in opened.items()})
