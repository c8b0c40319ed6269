"""The idx format of MNIST's files, raw or gzip: four magic bytes (0, 0, type, dimensions), big-endian sizes, then the data."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import DataError

_UNSIGNED_BYTE = 0x08
_LARGEST = 2**31
"""Bytes: more than any published idx file; keeps a damaged header or a gzip bomb from filling the memory."""


def read_idx(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """The unsigned-byte array of an idx file; DataError naming what was found and expected if it is anything else."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return _read(file, path, dimensions)  # type: ignore[arg-type]  # gzip and plain files read alike
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}. Expected a whole {_kind(path)}; fetch it again.") from error


def _read(file: BinaryIO, path: Path, dimensions: int) -> NDArray[np.uint8]:
    shape = _shape(file, path, dimensions)
    expected = math.prod(shape)
    if expected > _LARGEST:
        raise DataError(
            f"{path} claims a shape of {shape}, {expected} bytes: expected at most {_LARGEST}. The file is damaged; fetch it again."
        )
    data = file.read(expected + 1)
    if len(data) != expected:
        found = f"{len(data)} bytes" if len(data) < expected else f"more than {expected} bytes"
        raise DataError(f"{path} holds {found} of data: expected {expected} for its shape {shape}. The file is damaged; fetch it again.")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _shape(file: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    expected = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    magic = file.read(4)
    if magic != expected:
        raise DataError(
            f"{path} begins with the bytes {magic.hex(' ') or '(none)'}: expected {expected.hex(' ')}, a {_kind(path)} of unsigned bytes "
            f"with {dimensions} dimension{'s' * (dimensions > 1)}. Fetch it again."
        )
    sizes = file.read(4 * dimensions)
    if len(sizes) != 4 * dimensions:
        raise DataError(
            f"{path} ends inside its header, after {4 + len(sizes)} bytes: expected {4 + 4 * dimensions} and data. Fetch it again."
        )
    return struct.unpack(f">{dimensions}I", sizes)


def _kind(path: Path) -> str:
    return "gzip-compressed idx file" if path.suffix == ".gz" else "idx file"
