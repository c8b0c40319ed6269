"""Being asked to stop: Ctrl-C or SIGTERM once ends a run in good order, twice at once."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

import click

from benchmark.errors import SkewbenchError
from benchmark.run import FINISH_SECONDS


class OutOfTime(SkewbenchError):
    """The time that a run was given is over."""

    def __init__(self) -> None:
        super().__init__("the time of --stop-after is over. Everything finished is kept: issue the same command again to go on.")


@dataclass
class Stopping:
    """Whether a run is to stop, because somebody asked or because its time is over."""

    deadline: float | None = None
    """On the monotonic clock."""
    asked: int = 0

    def __call__(self) -> bool:
        if self.asked > 1:  # raised where it was swallowed, as in a finaliser: the second time nothing is waited for
            raise KeyboardInterrupt
        return self.asked > 0 or self.is_late

    @property
    def is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


@contextlib.contextmanager
def stopping(seconds: float | None) -> Iterator[Stopping]:
    """Count interruptions; the second one raises KeyboardInterrupt wherever the program is. `seconds`: when time is over."""
    state = Stopping(time.monotonic() + seconds if seconds is not None else None)

    def ask(_signal: int, _frame: FrameType | None) -> None:
        state.asked += 1
        if state.asked > 1:
            raise KeyboardInterrupt
        click.echo(
            f"\nskewbench: stopping: stages in flight have {FINISH_SECONDS:.0f} s to end. Interrupt again to stop at once.", err=True
        )

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
