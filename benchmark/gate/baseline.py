"""Accepted baselines: immutable copies of cells (predictions, scores, profiles, contexts, code keys) in a folder of the store.

`baselines/<suite>/versions/<id>/` holds `baseline.json` and `arrays/<sha256>.safetensors`, `baselines/<suite>/<name>.json` names a version.
A version is written whole under another name and then renamed, a name is replaced in one step: a kill leaves the old baseline or the new.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.arrays import Arrays, DamagedFile, StoredFile, read_arrays, write_bytes
from benchmark.errors import LedgerError, UserError
from benchmark.gate.names import checked_name
from benchmark.identity import canonical, digest
from benchmark.records import CellResult
from benchmark.rows import cell_result

FORMAT = 1
Bytes = Callable[[str], bytes]
"""The content of a file of arrays, by its SHA-256."""


@dataclass(frozen=True)
class BaselineCell:
    """One accepted cell; `sha256` and `size` are those of the file of its predictions."""

    result: CellResult
    sha256: str
    size: int

    @property
    def pair(self) -> str:
        return pair_of(self.result.resolved)

    @property
    def file(self) -> StoredFile:
        return StoredFile(array_path(self.sha256), self.size, self.sha256)


@dataclass(frozen=True)
class Baseline:
    """A set of accepted cells of one suite."""

    suite: str
    cells: tuple[BaselineCell, ...]
    scoring: str
    """Key of the metrics that scored the cells."""
    accepted: float
    """Unix seconds."""
    commit: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Every installed distribution with its version, when it was accepted."""
    timings: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By configuration (`setting_of`) the pinned window: `figures` and `context`, each measured alone in a process of its own."""
    command: str = ""
    id: str = ""
    """Of the version: the beginning of its checksum."""
    folder: Path = Path()

    def arrays(self, cell: BaselineCell) -> Arrays:
        """The predictions of a cell. DamagedFile if they are not what was accepted."""
        return read_arrays(self.folder, cell.file)


def pair_of(resolved: Mapping[str, Any]) -> str:
    """What a cell shares with the same cell under other code or other data: its configuration and its seed."""
    return digest(canonical({name: value for name, value in resolved.items() if name != "fingerprint"}))


def setting_of(resolved: Mapping[str, Any]) -> str:
    """The same without the seed."""
    return digest(canonical({name: value for name, value in resolved.items() if name not in ("fingerprint", "seed")}))


def array_path(sha256: str) -> str:
    return f"arrays/{sha256}.safetensors"


def text_of(baseline: Baseline) -> bytes:
    """`baseline.json`: all but where it lies."""
    document = {
        "format": FORMAT, "suite": baseline.suite, "scoring": baseline.scoring, "accepted": baseline.accepted, "commit": baseline.commit,
        "libraries": baseline.libraries, "timings": baseline.timings, "command": baseline.command,
        "cells": [{"sha256": cell.sha256, "size": cell.size, "result": asdict(cell.result)} for cell in baseline.cells],
    }  # fmt: skip
    return json.dumps(document, indent=1).encode()


def parse(text: bytes, folder: Path = Path()) -> Baseline:
    """A baseline from its text. LedgerError where it is none, or one of another version of skewbench."""
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise LedgerError(f"a baseline of format {document['format']}; this version of skewbench reads {FORMAT}. Accept it anew.")
        cells = tuple(BaselineCell(cell_result(dict(each["result"])), each["sha256"], each["size"]) for each in document["cells"])
        rest = {name: document[name] for name in ("scoring", "accepted", "commit", "libraries", "timings", "command")}
        return Baseline(checked_name(document["suite"]), cells, id=version_id(text), folder=folder, **rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(f"this is no baseline of skewbench ({type(error).__name__}: {error}).") from error


def version_id(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


@dataclass(frozen=True)
class Baselines:
    """The baselines of one suite in a store."""

    store: Path
    suite: str

    @property
    def folder(self) -> Path:
        return self.store / "baselines" / checked_name(self.suite)

    def names(self) -> list[str]:
        return sorted(file.stem for file in self.folder.glob("*.json"))

    def keep(self, name: str, baseline: Baseline, content: Bytes) -> Baseline:
        """Copy a baseline into the store under a name, which another may have had; `content` gives the files of arrays."""
        checked_name(name)
        text = text_of(baseline)
        target = self.folder / "versions" / version_id(text)
        with self._locked():
            if not _is_whole(target, text, baseline.cells):
                self._write(target, text, {cell.sha256: cell.size for cell in baseline.cells}, content)
            write_bytes(self.folder / f"{name}.json", json.dumps({"version": target.name}).encode())
            self._sweep()
        return self.read(name)

    def read(self, name: str) -> Baseline:
        """UserError where there is no such baseline, DamagedFile where it is not what was accepted."""
        folder = self.folder / "versions" / _version(self._pointer(name))
        try:
            text = (folder / "baseline.json").read_bytes()
        except FileNotFoundError:
            raise DamagedFile(f"{folder / 'baseline.json'} is missing: accept or import the baseline '{name}' again.") from None
        if version_id(text) != folder.name:
            raise DamagedFile(f"{folder / 'baseline.json'} is not what was accepted: accept or import the baseline '{name}' again.")
        return parse(text, folder)

    def drop(self, name: str) -> str:
        """Take a name away, and its version (which is given) if no other name means it, damaged or not. UserError where there is none."""
        pointer, version = self._pointer(name), "damaged"
        with self._locked():
            with contextlib.suppress(DamagedFile):
                version = _version(pointer)
            pointer.unlink()
            self._sweep()
        return version

    def _pointer(self, name: str) -> Path:
        """The file that says which version a name means; UserError where there is none."""
        pointer = self.folder / f"{checked_name(name)}.json"
        if not pointer.exists():
            known = f"Known: {', '.join(self.names())}." if self.names() else "None has been accepted yet."
            raise UserError(f"'{self.suite}' has no baseline '{name}'. {known} `skewbench baseline accept {self.suite}` makes one.")
        return pointer

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _write(self, target: Path, text: bytes, files: Mapping[str, int], content: Bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".part-"))
        try:
            for sha256, size in files.items():
                data = content(sha256)
                if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
                    raise DamagedFile(f"the predictions {sha256[:12]}… are not what their checksum says: nothing was kept.")
                _write_once(part / array_path(sha256), data)
            _write_once(part / "baseline.json", text)
            part.chmod(0o755)
            if target.exists():  # a damaged one
                os.rename(target, tempfile.mkdtemp(dir=target.parent, prefix=".damaged-"))
            os.rename(part, target)
        except BaseException:
            shutil.rmtree(part)
            raise

    def _sweep(self) -> None:
        """Remove versions that no name means, and what a kill left."""
        try:
            named = {_version(pointer) for pointer in self.folder.glob("*.json")}
        except DamagedFile:
            return  # what that name means cannot be told: it may be any
        for folder in (self.folder / "versions").glob("*"):  # there may be none
            if folder.name not in named:
                shutil.rmtree(folder)


def _version(pointer: Path) -> str:
    """Which version a name means. DamagedFile where its file does not say."""
    try:
        return checked_name(json.loads(pointer.read_text())["version"])
    except (ValueError, KeyError, TypeError, UserError):
        raise DamagedFile(f"{pointer} names no version: accept or import the baseline '{pointer.stem}' again.") from None


def _is_whole(target: Path, text: bytes, cells: Sequence[BaselineCell]) -> bool:
    """Whether a version is there with every byte that it should have."""
    try:
        is_same = (target / "baseline.json").read_bytes() == text
        return is_same and all(hashlib.sha256((target / cell.file.path).read_bytes()).hexdigest() == cell.sha256 for cell in cells)
    except OSError:
        return False


def _write_once(target: Path, data: bytes) -> None:
    write_bytes(target, data)
    target.chmod(0o444)


def all_baselines(store: Path) -> list[tuple[str, str]]:
    """Every (suite, name) in a store."""
    root = store / "baselines"
    suites = sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    return [(suite, name) for suite in suites for name in Baselines(store, suite).names()]
