"""Many image files decoded in parallel into one array on disk."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from benchmark.datasets._pixels import BrokenImage, Colour, pixels
from benchmark.errors import DataError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Found = TypeVar("Found")

_FEW = 500
"""Up to this many files threads are used: they start at once, and large pictures decode outside the interpreter lock. Tiny ones do
not: 20,000 JPEGs of 32x32 took 4.5 s in one thread, 5.7 s in two threads and 2.3 s in two processes (two cores)."""
_CHUNK = 256
_SECONDS_BETWEEN_REPORTS = 3.0


@dataclass(frozen=True)
class _Chunk:
    paths: tuple[str, ...]
    first: int
    array: Path
    colour: Colour


@dataclass(frozen=True)
class _Outcome:
    done: int = 0
    broken: tuple[str, ...] = ()
    coloured: bool = False
    """A coloured image was met where the array has room for grey only."""


def decode(root: Path, paths: Sequence[str], size: tuple[int, int], colour: Colour, array: Path) -> None:
    """Fill the .npy file `array` with uint8 [N, C, H, W] in the order of `paths`; DataError with the names of broken images.

    `auto` begins in grey and begins again at the first coloured image, which in a coloured folder is among the first of all.
    """
    if colour == "rgb" or not _fill(root, paths, size, colour, array):
        _fill(root, paths, size, "rgb", array)


def _fill(root: Path, paths: Sequence[str], size: tuple[int, int], colour: Colour, array: Path) -> bool:
    """False if a coloured image was met where grey was hoped for."""
    _allocate(array, (len(paths), 3 if colour == "rgb" else 1, *size))
    broken: list[str] = []
    report = reporter(root, len(paths))
    for outcome in in_parallel(_decode_chunk, _chunks(root, paths, array, colour), num_files=len(paths)):
        if outcome.coloured:
            return False
        broken += outcome.broken
        report(outcome.done)
    if broken:
        refuse(root, sorted(broken))
    return True


def _allocate(array: Path, shape: tuple[int, ...]) -> None:
    """An .npy file with its space on disk: a full disk is an error here, where it would be a killed process in a memory map."""
    np.lib.format.open_memmap(array, mode="w+", dtype=np.uint8, shape=shape).flush()
    size = array.stat().st_size
    if hasattr(os, "posix_fallocate"):
        try:
            with array.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise DataError(f"{array.parent} has no room for {size / 2**20:.0f} MiB of decoded images: {error}. Make room.") from error


def _chunks(root: Path, paths: Sequence[str], array: Path, colour: Colour) -> list[_Chunk]:
    length = max(1, min(_CHUNK, len(paths) // (8 * _workers())))
    full = [str(root / path) for path in paths]
    return [_Chunk(tuple(full[first : first + length]), first, array, colour) for first in range(0, len(full), length)]


def in_parallel(function: Callable[[Item], Found], items: Sequence[Item], *, num_files: int) -> Iterator[Found]:
    """What a function of a module gives for each item, as it comes; leaving early cancels what has not begun."""
    with _executor(num_files) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process that decoded images was killed, most likely for want of memory. Free some and start again."
            ) from error
        finally:
            for future in futures:
                future.cancel()


def _executor(num_files: int) -> Executor:
    """Threads for a few files, processes for many."""
    # a daemonic process may have no children
    if num_files <= _FEW or multiprocessing.current_process().daemon:
        return ThreadPoolExecutor(_workers())
    # spawn: forking a process that has started threads (torch's) may hang
    return ProcessPoolExecutor(_workers(), mp_context=multiprocessing.get_context("spawn"))


def _workers() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 16)


def _decode_chunk(chunk: _Chunk) -> _Outcome:
    array_NCHW = np.load(chunk.array, mmap_mode="r+", allow_pickle=False)
    channels, height, width = array_NCHW.shape[1:]
    broken = []
    for row, path in enumerate(chunk.paths, start=chunk.first):
        try:
            image_CHW = pixels(path, (height, width), chunk.colour)
        except BrokenImage as error:
            broken.append(f"{path}: {error}")
            continue
        if len(image_CHW) != channels:
            return _Outcome(coloured=True)
        array_NCHW[row] = image_CHW
    return _Outcome(len(chunk.paths), tuple(broken))


def reporter(root: Path, total: int, *, what: str = "decoded") -> Callable[[int], None]:
    """Counts the images that are done and logs it now and then."""
    done, reported = 0, time.monotonic()

    def report(number: int) -> None:
        nonlocal done, reported
        done += number
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            logger.info("%s %d of %d images of %s", what, done, total, root)

    return report


def refuse(root: Path, broken: list[str]) -> NoReturn:
    """Raise the DataError that lists broken files."""
    listed = "".join(f"\n  - {line}" for line in broken[:10])
    more = f"\n  … and {len(broken) - 10} more" if len(broken) > 10 else ""
    images = "1 file" if len(broken) == 1 else f"{len(broken)} files"
    raise DataError(f"{images} of {root} cannot be used as images:{listed}{more}\nMend or remove them, and start again.")
