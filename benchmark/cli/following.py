"""The process that fills MLflow while a suite runs: `skewbench sync --follow`, and the pipe by which its parent tells it of curves."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, TextIO

from benchmark.cli.browse import warn
from benchmark.cli.session import Session
from benchmark.machine import give_way
from benchmark.records import CellResult
from benchmark.stages import Stage

if TYPE_CHECKING:
    from trackers.live import Growing, Live

FOLLOW_SECONDS = 3.0
"""How often curves are written, and how often the follower looks for new cells, at most."""
FOLLOW_REST = 10
"""How many times as long as its last writing took the follower rests: it looks at every cell each time."""
FOLLOW_REST_IN_TROUBLE = 60.0
"""Seconds after which a tracker that could not be written is tried again, at most."""
LONG_SECONDS = 3.0
"""A training that is younger than this shows no curve yet: a short one is written once, when it has ended."""
POINTS_A_LINE = 40
"""Fewer bytes than a pipe takes whole or not at all."""


Watch = Callable[[Stage, Sequence[tuple[int, float]] | None], None]


@dataclass(frozen=True)
class Wire:
    """The parent's end. It never waits: a follower that has no time loses points of a curve on the way, and gets all when it has ended."""

    pipe: IO[bytes] | None = None
    """None: nobody follows."""

    def __post_init__(self) -> None:
        if self.pipe is not None:
            os.set_blocking(self.pipe.fileno(), False)

    def watch(self, stage: Stage, points: Sequence[tuple[int, float]] | None) -> None:
        """Points of a training's curve, or None when its stage has ended."""
        if self.pipe is None or stage.op != "train":
            return
        parts = [None] if points is None else [points[at : at + POINTS_A_LINE] for at in range(0, len(points), POINTS_A_LINE)]
        for part in parts:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self.pipe.fileno(), (json.dumps([stage.key, part]) + "\n").encode())

    def end(self) -> None:
        """Everything has run: the follower writes the rest and leaves, while the parent does what is left to do."""
        if self.pipe is not None:
            self.pipe.close()


@dataclass
class _Training:
    since: float
    """Unix seconds."""
    points: list[tuple[int, float]] = field(default_factory=list)


class Inbox:
    """The follower's end: what is told of trainings at work. `ended` is set when the parent closes the pipe or dies."""

    def __init__(self, source: TextIO) -> None:
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._trainings: dict[str, _Training] = {}
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: TextIO) -> None:
        for line in source:
            key, points = json.loads(line)
            with self._lock:
                if points is None:
                    self._trainings.pop(key, None)
                else:
                    found = self._trainings.setdefault(key, _Training(time.time()))
                    found.points += [(int(step), float(loss)) for step, loss in points]
        self.ended.set()

    def take(self) -> dict[str, _Training]:
        """New points of trainings that have been at work for a while, by the stage's key."""
        old = time.time() - LONG_SECONDS
        with self._lock:
            found = {key: each for key, each in self._trainings.items() if each.since < old and each.points}
            self._trainings |= {key: _Training(each.since) for key, each in found.items()}
        return found


def follow(session: Session, write: Callable[[Session], object]) -> None:
    """Write curves as they grow and new cells as they are recorded (`write` does that), until the parent's end of the pipe closes; then
    once more. Tracking is set up first, while workers import what they need; from then on it is the last to get a processor.

    A tracker in trouble is asked again, less and less often: it may come back.
    """
    inbox = Inbox(sys.stdin)
    curves = _Curves(session)
    curves.prepare()
    give_way()
    seen, rest, is_well, due = 0, FOLLOW_SECONDS, True, time.monotonic()
    while not inbox.ended.wait(FOLLOW_SECONDS):
        curves.write(inbox.take())
        seq = session.ledger.seq(session.suite.name) if session.ledger else 0
        if seq != seen and time.monotonic() >= due:
            begun = time.monotonic()
            is_well = _written(session, write, is_told=not is_well)
            seen = seq if is_well else seen
            rest = max(FOLLOW_SECONDS, FOLLOW_REST * (time.monotonic() - begun)) if is_well else min(2 * rest, FOLLOW_REST_IN_TROUBLE)
            due = time.monotonic() + rest
    _written(session, write, is_told=False)
    curves.close()


def _written(session: Session, write: Callable[[Session], object], *, is_told: bool) -> bool:
    """Whether the tracker could be written; a warning if not, unless the user `is_told`."""
    from trackers.location import TrackerError

    try:
        write(session)
    except TrackerError as error:
        if not is_told:
            warn(error)
        return False
    return True


@dataclass
class _Curves:
    """Curves on their way to the tracker. In trouble it rests: all of them are written with their cells in the end."""

    session: Session
    _live: Live | None = None
    _rests_until: float = 0.0

    def prepare(self) -> None:
        """Import MLflow and open the tracker, so that later only writing takes time."""
        with self._in_peace():
            from trackers.live import Live

            self._live = Live(self.session.results(), self.session.choice.store)

    def write(self, trainings: Mapping[str, _Training]) -> None:
        if trainings and self._live is not None and time.monotonic() >= self._rests_until:
            with self._in_peace():
                self._live.write(self._growing(trainings))

    def close(self) -> None:
        if self._live is not None:
            with self._in_peace():
                self._live.close()

    def _growing(self, trainings: Mapping[str, _Training]) -> list[Growing]:
        from trackers.live import Growing

        cells = _cells_by_training(self.session, trainings)
        return [Growing(cells[key], each.since, tuple(each.points)) for key, each in trainings.items() if key in cells]

    @contextlib.contextmanager
    def _in_peace(self) -> Iterator[None]:
        from trackers.location import TrackerError

        try:
            yield
        except TrackerError:  # whoever writes the cells meets it too, and says so
            self._rests_until = time.monotonic() + FOLLOW_REST_IN_TROUBLE


def _cells_by_training(session: Session, keys: Mapping[str, object]) -> dict[str, CellResult]:
    """The cell whose curve each training is: the one that ends with the trained network where there is one."""
    from benchmark.results import unfinished

    found: dict[str, CellResult] = {}
    for planned in session.plan.cells:
        chain = planned.work.last.chain if planned.work else ()
        is_plain = [stage.op for stage in chain] == ["train", "predict"]
        if chain and chain[0].key in keys and (is_plain or chain[0].key not in found):
            found[chain[0].key] = unfinished(session.suite.name, planned)
    return found
