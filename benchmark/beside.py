"""Functions called by processes beside this one: the pictures of a large report or sync, which would take a quarter of its time.

What comes of it is what calling them here would give; where the other processes are killed, they are called here.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

Made = TypeVar("Made")


@contextmanager
def processes(number: int) -> Iterator[Executor | None]:
    """So many processes, as many as there are processor cores at most, until the context ends; None where there would be no gain.

    Each imports what it needs anew, a second or two: they are for work of many seconds.
    """
    cores = os.cpu_count() or 1
    if number < 1 or cores < 2 or multiprocessing.current_process().daemon:  # which may have no children
        yield None
        return
    # spawn: forking a process that has started threads (numpy's) may hang
    with ProcessPoolExecutor(min(number, cores), mp_context=multiprocessing.get_context("spawn"), initializer=_begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def elsewhere(pool: Executor | None, here: Callable[[], Made]) -> Callable[[], Made]:
    """Have a function called by another process from now on; without one, here and when it is asked for."""
    if pool is None:
        return here
    try:
        asked = pool.submit(here)
    except BrokenProcessPool:  # killed, most likely for want of memory
        return here

    def made() -> Made:
        try:
            return asked.result()
        except BrokenProcessPool:
            return here()

    return made


def start(pool: Executor | None, number: int) -> None:
    """Have so many processes of a pool begun while this one still computes."""
    for _ in range(number):
        elsewhere(pool, _nothing)


def _nothing() -> None:
    """To be called by a process so that it begins."""


def _begin() -> None:
    """Leave Ctrl-C to the process that waits for us, and end when that is gone: a pool's queues stay open, for we hold them ourselves."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def end_with_parent() -> None:
    """In a process of `multiprocessing`: end, from now on, when the one it works for is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
