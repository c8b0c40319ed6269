"""A large float32 array in a file of the cache: made once for all processes, mapped by each, checked whenever it is opened.

The file is a `.npy` with the SHA-256 of all before it at its end, so that one rename makes it whole.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets import _cache
from benchmark.errors import DataError
from benchmark.tasks import is_full

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
_READ = 2**24
"""Bytes read at a time."""


def mapped(path: Path, shape: tuple[int, ...], make: Callable[[], Iterable[Floats]]) -> Floats:
    """The array in the file, mapped copy on write; where there is none or it is damaged, written from the blocks of `make` first.

    Processes that need it at the same time wait for the one that makes it, and share its pages. DataError where it cannot be written.
    """
    try:
        found = _opened(path, shape)
        if found is None:
            with _cache.locked(path.with_suffix(".lock")):
                found = _opened(path, shape)  # another process may have made it while this one waited
                if found is None:
                    _write(path, shape, make())
                    found = _opened(path, shape)
    except OSError as error:
        raise DataError(_refusal(path, shape, error)) from error
    if found is None:
        raise DataError(f"{path} is damaged as soon as it is written: is the disk sound? Set XDG_CACHE_HOME to a folder on another one.")
    return found


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _opened(path: Path, shape: tuple[int, ...]) -> Floats | None:
    """None, with a warning, for a file that is not what was written."""
    header = _header(shape)
    try:
        problem = _problem(path, header, len(header) + 4 * int(np.prod(shape)))
    except FileNotFoundError:
        return None
    if problem:
        log.warning("damaged: %s %s; computing it again", path, problem)
        return None
    return np.memmap(path, dtype=np.float32, mode="c", offset=len(header), shape=shape)


def _problem(path: Path, header: bytes, size: int) -> str:
    """What is wrong with the file, or nothing: every byte is read."""
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        actual = file.seek(0, io.SEEK_END)
        if actual != size + found.digest_size:
            return f"has {actual} bytes instead of {size + found.digest_size}"
        file.seek(0)
        block = file.read(len(header))
        if block != header:
            return "has another header than it was written with"
        left = size - len(block)
        while block:
            found.update(block)
            block = file.read(min(_READ, left))
            left -= len(block)
        return "" if file.read() == found.digest() else "does not have the checksum that it was written with"


def _write(path: Path, shape: tuple[int, ...], blocks: Iterable[Floats]) -> None:
    """Under the lock. Written, not mapped: where the disk is full a write fails, a mapping kills."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # of processes that died at it
        leftover.unlink(missing_ok=True)
    header = _header(shape)
    checksum = hashlib.sha256(header)
    with _cache.temporary(path) as name:
        with name.open("wb") as file:
            file.write(header)
            for array in blocks:
                data = np.ascontiguousarray(array, dtype="<f4").data
                checksum.update(data)
                file.write(data)
            file.write(checksum.digest())
        _cache.commit(name, path)


def _refusal(path: Path, shape: tuple[int, ...], error: OSError) -> str:
    size = f"{4 * int(np.prod(shape)) / 1e6:,.0f} MB"
    if is_full(error):
        return f"no room for preprocessed images ({size}) in {path.parent}: make room, or set XDG_CACHE_HOME to a folder with more."
    return f"preprocessed images ({size}) cannot be kept as {path}: {error}. Set XDG_CACHE_HOME to a folder that can be written."
