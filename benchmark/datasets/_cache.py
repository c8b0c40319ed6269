"""The data sets' cache: written whole or not at all, rebuilt where it is damaged or out of date."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from benchmark.errors import DataError
from benchmark.identity import canonical, digest
from benchmark.records import DatasetInfo, Folders

T = TypeVar("T")


@dataclass(frozen=True)
class _Entry:
    signature: str
    info: DatasetInfo


def cached_info(folders: Folders, identity: Sequence[str], signature: str, compute: Callable[[], DatasetInfo]) -> DatasetInfo:
    """The info stored under `identity` if it was made from files with this signature; else computed and stored."""
    path = folders.cache / "info" / f"{digest(canonical(list(identity)))}.json"
    entry = read(path, _Entry)
    if entry is not None and entry.signature == signature:
        return entry.info
    info = compute()
    write(path, _Entry(signature, info))
    return info


def file_signature(files: Sequence[Path]) -> str:
    """Changes when a file is moved, replaced or edited: path, size and time of change of each."""
    stats = [(file, file.stat()) for file in files]
    return digest(canonical([[os.fsencode(file.absolute()).hex(), stat.st_size, stat.st_mtime_ns] for file, stat in stats]))


def read(path: Path, kind: type[T]) -> T | None:
    """The dataclass in a JSON file, or None where there is none or it is damaged: what is cached can be made again."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def write(path: Path, value: object) -> None:
    """Write a dataclass as JSON under a temporary name, then rename."""
    make_folder(path.parent)
    with temporary(path) as name:
        name.write_bytes(TypeAdapter(type(value)).dump_json(value, indent=1))
        commit(name, path)


def make_folder(folder: Path) -> None:
    """Create a folder of the cache; DataError where that is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the cache folder {folder} cannot be made: {error}. Set XDG_CACHE_HOME to a folder that can be written."
        ) from error


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A fresh file beside `path`, gone at the end unless it was renamed."""
    handle, text = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    name = Path(text)
    try:
        yield name
    finally:
        name.unlink(missing_ok=True)


def commit(name: Path, path: Path) -> None:
    """Make a finished temporary file durable and give it its name: after a crash there is the old file or the new one."""
    _sync(name)
    os.chmod(name, 0o644)  # mkstemp's 0600 would shut out others who share the cache
    os.replace(name, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system frees it if this process dies."""
    import fcntl

    make_folder(path.parent)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
