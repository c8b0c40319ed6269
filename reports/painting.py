"""The pictures of a large report are drawn by processes beside the one that computes: they take a quarter of its time.

The same pictures come of it, byte for byte, as when they are drawn here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager

from matplotlib.figure import Figure

from benchmark.beside import elsewhere, processes, start
from reports.charts import Drawing
from reports.drawing import Picture, draw

LARGE = 5000
"""Cells of a report from which on starting such processes (a second or two) pays."""
PAINTERS = 2


class Painter:
    """Draws what it is given, at once and elsewhere or when it is asked for the pictures."""

    def __init__(self, endings: Sequence[str], pool: Executor | None = None) -> None:
        self._endings, self._pool = tuple(endings), pool
        self._asked: dict[str, Callable[[], Picture]] = {}

    def add(self, drawing: Drawing) -> None:
        """Take a drawing; one whose picture is a figure already is drawn here: it belongs to this process."""
        here = functools.partial(draw, drawing, self._endings)
        if self._endings:
            self._asked[drawing.name] = elsewhere(None if isinstance(drawing.picture, Figure) else self._pool, here)

    def pictures(self) -> dict[str, Picture]:
        """All of them by name, in the order in which they were given. Raises what drawing raised."""
        return {name: picture() for name, picture in self._asked.items()}


@contextmanager
def painter(endings: Sequence[str], num_cells: int) -> Iterator[Painter]:
    """A painter, for a report of so many cells; its processes end with the context."""
    with processes(PAINTERS if endings and num_cells >= LARGE else 0) as pool:
        start(pool, PAINTERS)
        yield Painter(endings, pool)
