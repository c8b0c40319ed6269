"""What passes between the runner and whoever computes: tasks go in, progress and results come out. Everything is JSON."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from benchmark.arrays import StoredFile
from benchmark.stages import Stage

Ending = Literal["ok", "failed", "pruned", "damaged", "no-data", "no-room", "lost"]
"""How a task came out. `failed` is the stage's own result; `pruned`: its judge had seen enough, which is no result; the others are the
fault of its surroundings: `damaged`: the parent's file; `no-data`: absent or broken images; `no-room`: a full disk; `lost`: whoever
computed it is gone."""


@dataclass(frozen=True)
class Execution:
    """An execution profile: how a stage is computed on its device, never what. Bits repeat under the same profile."""

    threads: int = 1
    compiled: bool = False
    """Through torch.compile."""
    channels_last: bool = True
    """Weights of convolutions in memory format NHWC, which spares a CPU reordering them at every step."""

    @property
    def words(self) -> str:
        """`1 thread, eager, channels-last`"""
        parts = [f"{self.threads} thread{'s' * (self.threads > 1)}", "compiled" if self.compiled else "eager"]
        return ", ".join([*parts, "channels-last" if self.channels_last else "channels-first"])


FIXED = Execution()
"""One thread, eager, channels last: the reference, which repeats on any machine of one kind."""


@dataclass(frozen=True)
class Limits:
    """What a stage may take before it is stopped. None: no limit."""

    seconds: float | None = None
    memory_mib: float | None = None
    """Host memory of the process that computes it, its children included."""


@dataclass(frozen=True)
class Rungs:
    """A training that is scored on its validation images on the way, so that a judge may stop it. It changes no bit of what goes on."""

    at: tuple[int, ...]
    """Percent of the steps, ascending."""
    metric: Mapping[str, Any]
    """The metric as JSON, `{name: {parameter: value}}`."""


@dataclass(frozen=True)
class Task:
    """A stage to compute, the file of its parent's arrays, and how. The result's arrays go to `stage.file_name` in the store."""

    stage: Stage
    parent: StoredFile | None = None
    execution: Execution = FIXED
    limits: Limits = Limits()
    rungs: Rungs | None = None

    @property
    def document(self) -> dict[str, Any]:
        own = {"parent": self.parent, "execution": self.execution, "limits": self.limits, "rungs": self.rungs}
        return {"stage": self.stage.document, **{k: v and dataclasses.asdict(v) for k, v in own.items()}}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Task:
        parent, rungs = document["parent"], document["rungs"]
        return cls(
            Stage.from_document(document["stage"]),
            StoredFile(**parent) if parent else None,
            Execution(**document["execution"]),
            Limits(**document["limits"]),
            Rungs(tuple(rungs["at"]), rungs["metric"]) if rungs else None,
        )


@dataclass(frozen=True)
class Outcome:
    """How a task ended. `kind`, `message` and `log_tail` are those of a failure."""

    ending: Ending
    file: StoredFile | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""
    message: str = ""
    log_tail: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Outcome:
        file = document["file"]
        return cls(**{**document, "file": StoredFile(**file) if file else None})


@dataclass(frozen=True)
class Progress:
    """A sign of life of a stage at work."""

    key: str
    done: int
    total: int
    points: tuple[tuple[int, float], ...] = ()
    """Of a training: (step, loss), the points of its curve since the sign before."""


@dataclass(frozen=True)
class Ended:
    """A stage that has come to its end."""

    key: str
    outcome: Outcome


Event = Progress | Ended


@dataclass(frozen=True)
class Reported:
    """What a training is worth on its validation images after some percent of its steps."""

    key: str
    percent: int
    value: float


Judge = Callable[[Reported], bool]
"""Says whether a training may go on."""


def lenient(_: Reported) -> bool:
    """The judge who stops nothing."""
    return True


@dataclass(frozen=True)
class Slot:
    """A place where one group of tasks can be computed at a time."""

    name: str
    """`worker 1`, `cuda:0 #2`, `node 3 …`"""
    device: str = "cpu"
    threads: int = 1
    free_mib: float | None = None
    """Memory on the device that is not spoken for; None: not counted."""


class Engine(Protocol):
    """Whoever computes: this process, local workers, a cluster. Used by one runner, from one thread; whoever makes it closes it."""

    def idle(self) -> Sequence[Slot]:
        """The slots that could take work now, the best first."""
        ...

    def warm(self, slot: Slot) -> str:
        """The key of the stage whose arrays the slot still has in memory, or nothing."""
        ...

    def start(self, slot: Slot, tasks: Sequence[Task]) -> None:
        """Begin a group of tasks on an idle slot. Today a group is one task; replicas batched into one network would be several."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What has happened since the last call; waits up to `seconds` for something to happen."""
        ...

    def close(self) -> None:
        """Stop at once, with whatever is at work."""
        ...


class NoEngine:
    """For a run in which nothing is left to compute."""

    def idle(self) -> Sequence[Slot]:
        return ()

    def warm(self, slot: Slot) -> str:
        raise AssertionError(f"there is no {slot}")

    def start(self, slot: Slot, tasks: Sequence[Task]) -> None:
        raise AssertionError(f"there is no {slot} for {tasks}")

    def wait(self, seconds: float) -> list[Event]:  # noqa: ARG002  # the engine's contract
        return []

    def close(self) -> None:
        pass


def is_full(error: OSError) -> bool:
    """Whether an error says that there is no room left on the disk, or in the quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
