"""What is still to be computed and in which order. Pure bookkeeping: nothing here touches a file, a clock or a process."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmark.stages import Stage

Priority = tuple[bool, int, float, int]


class Agenda:
    """The open stages of a run.

    First come stages that rest on something finished: they are short and let stored weights go. Then seed by seed, so that complete
    comparisons exist early; within a seed the longest remaining path first, so that no worker is left alone with a long one at the end.
    """

    def __init__(self, stages: Iterable[Stage], seconds: Callable[[Stage], float]) -> None:
        """`stages`: parents before children; `seconds`: what a stage is expected to take."""
        self._seconds = seconds
        self._open: dict[str, Stage] = {}
        self._at_work: dict[str, Stage] = {}
        self._elsewhere: dict[str, Stage] = {}
        self._children: dict[str, dict[str, Stage]] = defaultdict(dict)
        self._remaining: dict[str, float] = {}
        self._queue: list[tuple[Priority, str]] = []
        self._number = itertools.count()
        given = list(stages)
        for stage in given:
            self._enter(stage)
        for stage in given:
            self._offer(stage)

    @property
    def is_empty(self) -> bool:
        return not (self._open or self._at_work)

    @property
    def num_elsewhere(self) -> int:
        """Stages at which another process seems to be."""
        return len(self._elsewhere)

    def open(self, stage: Stage) -> None:
        """Add a stage, or put one that had been started back."""
        self._at_work.pop(stage.key, None)
        self._elsewhere.pop(stage.key, None)
        self._enter(stage)
        self._offer(stage)

    def next(self, warm: str = "") -> Stage | None:
        """Take the next stage that can be computed, one that rests on `warm` (a key) if there is one; None if there is none now."""
        for child in self._children.get(warm, {}).values():
            if self._is_ready(child):
                return self._take(child)
        while self._queue:
            _, key = heapq.heappop(self._queue)
            stage = self._open.get(key)
            if stage is not None and self._is_ready(stage):
                return self._take(stage)
        return None

    def elsewhere(self, stage: Stage) -> None:
        """Put a stage aside at which another process is, until `recall`."""
        del self._at_work[stage.key]
        self._open[stage.key] = self._elsewhere[stage.key] = stage

    def recall(self) -> None:
        """Offer the stages again that were put aside."""
        aside, self._elsewhere = self._elsewhere, {}
        for stage in aside.values():
            self._offer(stage)

    def done(self, stage: Stage) -> None:
        """A stage has its result: those that rest on it can be computed."""
        self._leave(stage)
        for child in self._children.get(stage.key, {}).values():
            self._offer(child)

    def fail(self, stage: Stage) -> None:
        """A stage has no result: it and all that rests on it leaves."""
        for child in list(self._children.pop(stage.key, {}).values()):
            self.fail(child)
        self._leave(stage)

    def is_needed(self, key: str, *, besides: str = "") -> bool:
        """Whether an open stage, or one at work, rests directly on this one; `besides` (a key) does not count."""
        return any(child != besides for child in self._children.get(key, ()))

    def after(self, stage: Stage) -> list[Stage]:
        """The open stages that rest on this one, however far."""
        children = list(self._children.get(stage.key, {}).values())
        return children + [later for child in children for later in self.after(child)]

    def leads_to(self, stage: Stage) -> Mapping[str, Sequence[str]]:
        """The open stages after this one: children by key."""
        found: dict[str, Sequence[str]] = {}
        waiting = [stage.key]
        while waiting:
            key = waiting.pop()
            found[key] = tuple(self._children.get(key, ()))
            waiting += found[key]
        return found

    def _enter(self, stage: Stage) -> None:
        self._open[stage.key] = stage
        if stage.parent is not None:
            self._children[stage.parent.key][stage.key] = stage
        self._remaining.clear()

    def _offer(self, stage: Stage) -> None:
        if stage.key in self._open and self._is_ready(stage):
            heapq.heappush(self._queue, (self._priority(stage), stage.key))

    def _is_ready(self, stage: Stage) -> bool:
        if stage.key not in self._open or stage.key in self._elsewhere:
            return False
        return stage.parent is None or not (stage.parent.key in self._open or stage.parent.key in self._at_work)

    def _take(self, stage: Stage) -> Stage:
        self._at_work[stage.key] = self._open.pop(stage.key)
        return stage

    def _leave(self, stage: Stage) -> None:
        for group in (self._open, self._at_work, self._elsewhere):
            group.pop(stage.key, None)
        if stage.parent is not None:
            self._children[stage.parent.key].pop(stage.key, None)

    def _priority(self, stage: Stage) -> Priority:
        seed = int(stage.chain[0].config.get("seed", 0))
        return stage.parent is None, seed, -self._path(stage), next(self._number)

    def _path(self, stage: Stage) -> float:
        """Seconds of the longest path from here to an end."""
        if stage.key not in self._remaining:
            after = max((self._path(child) for child in self._children.get(stage.key, {}).values()), default=0.0)
            self._remaining[stage.key] = self._seconds(stage) + after
        return self._remaining[stage.key]
