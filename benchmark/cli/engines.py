"""The options that say how a run is computed, and the engine that they mean."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import click

from benchmark.cli.session import Session
from benchmark.cli.units import mebibytes, seconds
from benchmark.errors import UserError
from benchmark.execution import ENOUGH_STEPS, Chooser, default_layout, measure_layout, worker_environment
from benchmark.gpus import gpu_slots, visible_gpus
from benchmark.machine import Measurements, usable_cores
from benchmark.price import History
from benchmark.stages import Stage
from benchmark.tasks import FIXED, Engine, Execution, Judge, Limits, Slot, lenient

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Means:
    """What a run may use."""

    device: str = "auto"
    workers: int | None = None
    threads: int | None = None
    execution: str = "auto"
    executor: str = "local"
    time_limit: float | None = None
    memory_limit: float | None = None
    stop_after: float | None = None

    @property
    def limits(self) -> Limits:
        return Limits(self.time_limit, self.memory_limit)


@dataclass(frozen=True)
class Prepared:
    """Where a run computes, and under which execution profiles."""

    slots: tuple[Slot, ...]
    execution: Callable[[Stage, Slot], Execution]


def place_options(function: F) -> F:
    """The options that say where and how stages are computed, passed on as one `means`."""
    return _means(function, _PLACE)


def means_options(function: F) -> F:
    """The same with the limits of a run."""
    return _means(function, (*_PLACE, *_LIMITS))


def _means(function: F, options: Sequence[Callable[[F], F]]) -> F:
    @functools.wraps(function)
    def collected(**given: Any) -> Any:
        means = Means(**{item.name: given.pop(item.name) for item in fields(Means) if item.name in given})
        return function(means=means, **given)

    wrapped: Any = collected
    for decorate in reversed(options):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable a callable


_PLACE: Sequence[Any] = (
    click.option("--device", default="auto", show_default=True, help="auto (GPUs if there are any), cpu, cuda (all) or cuda:N."),
    click.option("--workers", type=click.IntRange(min=0), help="Worker processes (default: measured once). 0: none, to debug."),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads of a worker (default: measured once)."),
    click.option(
        "--exec", "execution", type=click.Choice(["auto", "fixed"]), default="auto", show_default=True,
        help="fixed: one thread, eager: repeats to the bit on any machine of one kind. auto: what was measured to be fastest here.",
    ),
)  # fmt: skip
_LIMITS: Sequence[Any] = (
    click.option("--executor", default="local", show_default=True, metavar="local|ray[://ADDRESS]", help="Where workers run."),
    click.option("--time-limit", type=seconds, metavar="TIME", help="A stage that takes longer (90s, 30min, 2h) is stopped: failed."),
    click.option("--memory-limit", type=mebibytes, metavar="SIZE", help="The same for a stage whose process takes more memory (4GiB)."),
    click.option("--stop-after", type=seconds, metavar="TIME", help="End the run in good order after this time; re-issue it to go on."),
)  # fmt: skip


def prepare(session: Session, means: Means, todo: Sequence[Stage], say: Callable[[str], None] | None = None) -> Prepared:
    """Slots and execution profiles for the stages to do; with `say` measured first where that is worth it and not done before."""
    measurements = Measurements.load(session.folders.cache)
    slots = _slots(session, means, measurements, todo, say)
    if means.execution == "fixed":
        return Prepared(tuple(replace(slot, threads=1) for slot in slots), lambda _stage, _slot: FIXED)
    chooser = Chooser(measurements, session.choice.plugins)
    if means.workers != 0 and todo and say:
        for choice in chooser.prepare(todo, slots[0]):
            say(f"{choice.what}: {choice.execution.words} (measured; `skewbench doctor` shows more)")
    return Prepared(slots, chooser.execution)


def _slots(
    session: Session, means: Means, measurements: Measurements, todo: Sequence[Stage], say: Callable[[str], None] | None
) -> tuple[Slot, ...]:
    if means.device.startswith("cuda") or (means.device == "auto" and visible_gpus()):
        return _gpu_slots(session, means, todo)
    if means.device not in ("auto", "cpu"):
        raise UserError(f"unknown device '{means.device}': expected auto, cpu, cuda or cuda:N.")
    layout = default_layout(measurements)
    steps = sum(stage.config["steps"] for stage in todo if stage.op == "train")
    if say and means.workers is means.threads is None and not layout.measured and steps >= ENOUGH_STEPS and means.execution == "auto":
        say("measuring once how many workers and threads suit this machine")
        layout = measure_layout(measurements)
        say(f"{layout.workers} workers x {layout.threads} threads ({layout.why})")
    threads = means.threads or (layout.threads if means.workers is None else 1)
    workers = means.workers or (layout.workers if means.threads is None else max(1, usable_cores() // threads))
    return tuple(Slot(f"worker {index + 1}", "cpu", threads) for index in range(workers))


def _gpu_slots(session: Session, means: Means, todo: Sequence[Stage]) -> tuple[Slot, ...]:
    gpus = visible_gpus()
    if means.device.startswith("cuda:"):
        index = means.device.removeprefix("cuda:")
        gpus = tuple(gpu for gpu in gpus if str(gpu.index) == index)
    if not gpus:
        raise UserError(
            f"--device {means.device}: no such GPU here ({len(visible_gpus())} are visible; CUDA_VISIBLE_DEVICES counts). Use --device cpu."
        )
    return gpu_slots(gpus, _peak_mib(session, todo), workers=means.workers, threads=means.threads or 1)


def _peak_mib(session: Session, todo: Sequence[Stage]) -> float | None:
    """Largest device memory that such stages took in earlier runs on this store, or None where one of them never ran."""
    history = History(session.ledger.history() if session.ledger else ())
    peaks = [history.device_mib(stage) for stage in todo]
    known = [peak for peak in peaks if peak is not None]
    return max(known) if known and len(known) == len(peaks) else None


def make_engine(session: Session, means: Means, prepared: Prepared, judge: Judge = lenient) -> Engine:
    """The engine of a run; its workers begin to start at once. `judge`: see benchmark.tasks; a cluster asks none."""
    if means.executor != "local":
        from benchmark.execute.cluster import Site, make_cluster

        site = Site(session.choice.store, session.folders, session.choice.plugins)
        return make_cluster(means.executor, prepared.slots[0], site, means.limits, workers=means.workers)
    if means.workers == 0:
        from benchmark.execute.context import choose_machine
        from benchmark.execute.inline import Inline
        from benchmark.execute.perform import Performer
        from benchmark.execute.stages import Executor

        machine = choose_machine(prepared.slots[0].device, prepared.slots[0].threads)
        return Inline(Performer(Executor(machine, session.folders), session.choice.store), judge)
    from benchmark.execute.pool import Pool

    store, folders, plugins = session.choice.store, session.folders, session.choice.plugins
    return Pool(prepared.slots, store, folders, plugins=plugins, environment=worker_environment, judge=judge)
