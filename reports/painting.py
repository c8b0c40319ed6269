"""The pictures of a large report are drawn by processes beside the one that computes: they take a quarter of its time.

The same pictures come of it, byte for byte, as when they are drawn here.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from matplotlib.figure import Figure

from reports.charts import Drawing
from reports.drawing import Picture, draw

Made = TypeVar("Made")
LARGE = 5000
"""Cells of a report from which on starting such processes (a second or two) pays."""


class Painter:
    """Draws what it is given, at once and elsewhere or when it is asked for the pictures."""

    def __init__(self, endings: Sequence[str], pool: Executor | None = None) -> None:
        self._endings, self._pool = tuple(endings), pool
        self._asked: dict[str, Callable[[], Picture]] = {}

    def add(self, drawing: Drawing) -> None:
        """Take a drawing; one whose picture is a figure already is drawn here: it belongs to this process."""
        here = functools.partial(draw, drawing, self._endings)
        if self._endings:
            self._asked[drawing.name] = here if self._pool is None or isinstance(drawing.picture, Figure) else _elsewhere(self._pool, here)

    def pictures(self) -> dict[str, Picture]:
        """All of them by name, in the order in which they were given. Raises what drawing raised."""
        return {name: picture() for name, picture in self._asked.items()}


@contextmanager
def painter(endings: Sequence[str], num_cells: int) -> Iterator[Painter]:
    """A painter, for a report of so many cells; its processes end with the context."""
    processes = min(2, os.cpu_count() or 1)
    if num_cells < LARGE or not endings or processes < 2 or multiprocessing.current_process().daemon:
        yield Painter(endings)
        return
    # spawn: forking a process that has started threads (numpy's) may hang
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        for _ in range(processes):
            _elsewhere(pool, _begin)  # so that matplotlib is imported there while this process still computes
        yield Painter(endings, pool)


def _begin() -> None:
    """Leave Ctrl-C to the process that waits for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _elsewhere(pool: Executor, here: Callable[[], Made]) -> Callable[[], Made]:
    """Have a function called by another process; here where those were killed, most likely for want of memory."""
    try:
        asked = pool.submit(here)
    except BrokenProcessPool:
        return here

    def made() -> Made:
        try:
            return asked.result()
        except BrokenProcessPool:
            return here()

    return made
