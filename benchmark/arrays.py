"""Arrays on disk: safetensors (no pickle), written whole or not at all, checked against their SHA-256 when read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import LedgerError

Arrays = Mapping[str, NDArray[np.generic]]


class DamagedFile(LedgerError):
    """A stored file is missing, truncated or altered."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the store as the ledger remembers it; `path` is relative to the store."""

    path: str
    size: int
    sha256: str

    def problem(self, store: Path) -> str:
        """What is plainly wrong with the file without reading it, or nothing."""
        try:
            size = os.stat(os.path.join(store, self.path)).st_size  # a Path takes longer to make than to look
        except FileNotFoundError:
            return f"{self.path} is missing"
        return "" if size == self.size else f"{self.path} has {size} bytes instead of {self.size}"


def write_arrays(store: Path, path: str, arrays: Arrays) -> StoredFile:
    """Write to a temporary name, fsync, rename: a kill leaves the old file or the new one, never half of one."""
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    write_bytes(store / path, data)
    return StoredFile(path, len(data), hashlib.sha256(data).hexdigest())


def read_arrays(store: Path, file: StoredFile) -> dict[str, NDArray[np.generic]]:
    """The arrays; DamagedFile if a byte differs from what was written."""
    from safetensors.numpy import load

    problem = file.problem(store)
    data = b"" if problem else (store / file.path).read_bytes()
    if problem or hashlib.sha256(data).hexdigest() != file.sha256:
        raise DamagedFile(problem or f"{file.path} does not have the checksum it was written with")
    return dict(load(data))


def write_bytes(target: Path, data: bytes) -> None:
    """Atomic and durable: the file, then the folder that names it, are flushed to disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
