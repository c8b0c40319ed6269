"""Prices for the command line: what a session will cost under given means, and what a run took."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmark.cli.console import duration
from benchmark.cli.engines import Prepared
from benchmark.cli.session import Session
from benchmark.execution import measure
from benchmark.price import Bill, History, Price, as_planned, as_spent, bill, kind
from benchmark.results import PLANNED, SPENT
from benchmark.stages import Stage

PROBE = "probe"
"""Kind of note in the ledger: a few steps of a kind of training, measured."""
OVERHEAD = 6.0
"""Seconds that a run takes beyond its stages where no run has told yet: processes start, libraries are imported."""


def bill_of(session: Session, prepared: Prepared, todo: Sequence[Stage]) -> Bill:
    """The price of a session's plan on these slots."""
    ledger = session.ledger
    history = History(ledger.history() if ledger else (), ledger.notes(PROBE) if ledger else {})
    slot = prepared.slots[0]

    def how(stage: Stage) -> tuple[str, str]:
        return slot.device, prepared.execution(stage, slot).words

    return bill(session.plan, todo, history, how, slots=len(prepared.slots), overhead=_overhead(session))


def _overhead(session: Session) -> float:
    """Of earlier runs on this store: wall time beyond the stages' seconds spread over the slots."""
    found = [
        max(0.0, spent["wall"] - sum(op["seconds"] for op in spent["ops"].values()) / spent["slots"])
        for spent in (session.ledger.notes(SPENT) if session.ledger else {}).values()
    ]
    return statistics.median(found) if found else OVERHEAD


def measure_unknown(session: Session, prepared: Prepared, made: Bill, say: Callable[[str], None]) -> int:
    """Measure a few steps of each kind of training that has no price, and note it; how many."""
    slot = prepared.slots[0]
    unknown = {kind(stage.chain[0].config): stage.chain[0] for stage in made.unknown}
    for number, (key, stage) in enumerate(unknown.items(), start=1):
        say(f"probing {number} of {len(unknown)}: {next(iter(stage.config['model']))}")
        execution = prepared.execution(stage, slot)
        (found,) = measure(stage, slot, [execution], [str(folder) for folder in session.choice.plugins])
        document: dict[str, Any] = {**found, "execution": execution.words, "batch": stage.config["recipe"]["batch"]}
        session.own_ledger.note(PROBE, f"{key} {slot.device}", document)
    return len(unknown)


@contextlib.contextmanager
def kept_account(session: Session, made: Bill, spent: Sequence[tuple[str, float]]) -> Iterator[None]:
    """Note what a run was expected to take, and what it took: `spent` are (operation, seconds), growing as it runs."""
    ledger, name = session.own_ledger, session.suite.name
    ledger.note(PLANNED, name, as_planned(made))
    begun = time.monotonic()
    yield
    ledger.note(SPENT, name, {**as_spent(spent, time.monotonic() - begun), "slots": made.slots})


def shown(price: Price | None) -> str:
    """`12 min (10 to 15)`"""
    if price is None:
        return "?"
    return f"{duration(price.seconds)} ({duration(price.low)} to {duration(price.high)})"


def total_lines(made: Bill) -> list[str]:
    """The price of a plan in sentences."""
    lines = [f"Sharing: the cells alone would be {made.sharing:.2f} times the work of the distinct stages (in {made.sharing_unit})."]
    if not made.todo:
        return lines
    ops = made.by_op().items()
    known = [f"{number} {op} {duration(price.seconds)}" if price.basis else f"{number} {op}" for op, (number, price) in ops]
    lines.append(f"Work to do: {', '.join(known)}.")
    if made.unknown:
        lines.append(f"Price: not known for {len(made.unknown)} of {len(made.todo)} stages: `--probe` measures a few steps of each kind.")
        return lines
    wall, hours = made.wall, made.work.seconds / 3600
    lines.append(
        f"Price: about {shown(wall)} on {made.slots} workers, {hours:.2g} device-hours; from {wall.basis}.{_memory(wall, made.slots)}"
    )
    return lines


def _memory(price: Price, slots: int) -> str:
    device = f", {price.device_mib:.0f} MiB of a GPU" if price.device_mib is not None else ""
    return f" Peak memory: {price.host_mib:.0f} MiB a worker ({slots} side by side){device}." if price.host_mib else ""
