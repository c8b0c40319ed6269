"""What a plan will cost: seconds and memory of each stage, from what such stages took before on this machine, or from a probe.

Nothing is invented: a stage of a kind that never ran has no price.
"""

from __future__ import annotations

import functools
import socket
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.identity import canonical, digest
from benchmark.plan import Plan
from benchmark.recipe import MONITORED
from benchmark.rows import Past
from benchmark.stages import Stage

NEWEST = 20
"""Rows that a rate rests on."""
ALONE_SPREAD = 0.3
"""Relative half-width of the interval of a rate that was measured once."""
LEAST_SPREAD = 0.1
OTHER_SPREAD = 0.5
"""Of a rate that was measured under another execution profile."""
HEAD_SHARE = 0.03
"""A step of the head on cached features as a share of a training step, where only a probe is known: 2 to 5 % by arithmetic."""

FORWARD = {"train": 3.0, "finetune": 0.03, "finetune-through": 1.0, "predict": 1.0, "features": 1.0, "adjust": 0.0}
"""Work per image in forward passes: what sharing is weighed by as long as no seconds are known."""


@dataclass(frozen=True)
class Price:
    """Predicted seconds of a stage, with an interval of about 80 %; memory in MiB where it is known."""

    seconds: float
    low: float
    high: float
    host_mib: float | None = None
    device_mib: float | None = None
    basis: str = ""


@dataclass(frozen=True)
class Rate:
    """Seconds per unit of work, as measured."""

    middle: float
    low: float
    high: float
    host_mib: float | None
    device_mib: float | None
    basis: str

    def price(self, units: float) -> Price:
        return Price(self.middle * units, self.low * units, self.high * units, self.host_mib, self.device_mib, self.basis)


def units(stage: Stage) -> float:
    """How many images pass: what seconds are taken to be proportional to."""
    config = stage.chain[0].config
    return _units(stage.op, stage.config, config)


def _units(op: str, own: Mapping[str, Any], trained: Mapping[str, Any]) -> float:
    if op in ("train", "finetune", "finetune-through"):
        return float(own["steps"] * trained["recipe"]["batch"]) + (_watched(trained) if op == "train" else 0.0)
    tested = max(1, sum(trained["test_counts"]))
    return float(tested + (sum(trained["class_counts"]) if op == "features" else 0))


def _watched(trained: Mapping[str, Any]) -> float:
    """Images that a training's monitor looks at, weighed as forward passes alone."""
    points = min(int(trained["recipe"].get("monitor", 0)), int(trained["steps"]))  # recipes of before there was a monitor have none
    parts = {"train": sum(trained["class_counts"]), "test": sum(trained["test_counts"])}
    images: int = sum(min(number, MONITORED[part]) for part, number in parts.items())
    return points * images * FORWARD["predict"] / FORWARD["train"]


def kind(trained: Mapping[str, Any]) -> str:
    """What trainings must have in common for one to tell the time of another."""
    recipe = trained["recipe"]
    parts = [trained["model"], list(trained["image_shape"]), len(trained["class_counts"]), recipe["batch"], recipe["precision"]]
    parts += [recipe["augment"]] if recipe.get("augment") else []  # through a frozen base at every step
    return digest(canonical([*parts, next(iter(recipe["optimizer"]))]))


class History:
    """Rates from the stages that a store holds and from probes (see `from_probe`), of this host only."""

    def __init__(self, past: Iterable[Past], probes: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._probes = probes or {}
        self._rows: dict[tuple[str, str, str], list[tuple[float, Past]]] = defaultdict(list)
        trained: dict[str, tuple[Mapping[str, Any], str]] = {}
        for row in past:  # the oldest first: parents come before their children
            if row.op == "train":
                trained[row.key] = row.config, kind(row.config)
            elif row.parent in trained:
                trained[row.key] = trained[row.parent]
            if row.key in trained and row.context.get("host") == socket.gethostname() and "seconds" in row.profile:
                config, found = trained[row.key]
                rate = row.profile["seconds"] / _units(row.op, row.config, config)
                self._rows[row.op, found, str(row.context.get("device"))].append((rate, row))
        self._rates: dict[tuple[str, str, str, str], Rate | None] = {}
        self._kinds: dict[int, str] = {}

    def price(self, stage: Stage, device: str, execution: str) -> Price | None:
        """The price of a stage on a device (`cpu`, `cuda:0`) under an execution profile (its words); None where it is not known."""
        if stage.op == "adjust":
            return Price(0.0, 0.0, 0.0, basis="nothing to speak of")
        rate = self._rate(stage.op, self._kind(stage.chain[0]), device, execution)
        return rate.price(units(stage)) if rate else None

    def device_mib(self, stage: Stage) -> float | None:
        """The largest device memory that such stages have taken, reserved memory included."""
        found = [
            row.profile["peak_device_reserved_mib"]
            for (op, of, _), rows in self._rows.items()
            if (op, of) == (stage.op, self._kind(stage.chain[0]))
            for _, row in rows
            if "peak_device_reserved_mib" in row.profile
        ]
        return max(found, default=None)

    def _kind(self, trained: Stage) -> str:
        if id(trained) not in self._kinds:
            self._kinds[id(trained)] = kind(trained.config)
        return self._kinds[id(trained)]

    def _rate(self, op: str, of: str, device: str, execution: str) -> Rate | None:
        key = (op, of, device, execution)
        if key not in self._rates:
            self._rates[key] = self._measured(*key) or self._probed(*key)
        return self._rates[key]

    def _measured(self, op: str, of: str, device: str, execution: str) -> Rate | None:
        rows = self._rows.get((op, of, device), [])
        alike = [(rate, row) for rate, row in rows if row.context.get("execution") == execution][-NEWEST:]
        if alike:
            rates = [rate for rate, _ in alike]
            return _rate(rates, _spread(rates), alike, f"{len(rows)} such stages here")
        other = rows[-NEWEST:]
        return _rate([rate for rate, _ in other], OTHER_SPREAD, other, "such stages under another execution profile") if other else None

    def _probed(self, op: str, of: str, device: str, execution: str) -> Rate | None:
        probe = self._probes.get(f"{of} {device}")
        if not probe:
            return None
        per_image = probe["seconds_per_step"] / probe["batch"]
        middle = {"train": per_image, "finetune": HEAD_SHARE * per_image}.get(op, probe["seconds_per_image"])
        spread = ALONE_SPREAD if probe["execution"] == execution and not op.startswith("finetune") else OTHER_SPREAD
        memory = probe["peak_host_mib"], probe["peak_device_mib"]
        return Rate(middle, (1 - spread) * middle, (1 + spread) * middle, *memory, basis="a probe")


def _spread(rates: Sequence[float]) -> float:
    if len(rates) < 2:
        return ALONE_SPREAD
    middle = statistics.median(rates)
    ordered = sorted(rates)
    tail = len(ordered) // 10
    return max(LEAST_SPREAD, 1 - ordered[tail] / middle, ordered[-1 - tail] / middle - 1)


def _rate(rates: Sequence[float], spread: float, rows: Sequence[tuple[float, Past]], basis: str) -> Rate:
    middle = statistics.median(rates)
    host = max(row.profile.get("peak_host_mib", 0.0) for _, row in rows)
    device = max((row.profile["peak_device_reserved_mib"] for _, row in rows if "peak_device_reserved_mib" in row.profile), default=None)
    return Rate(middle, max(0.0, 1 - spread) * middle, (1 + spread) * middle, host or None, device, basis)


@dataclass(frozen=True)
class Bill:
    """A plan's price: of all its distinct stages, of those to do, and of its cells one by one."""

    sharing: float
    """Work of the cells, each alone, over the work of the distinct stages."""
    sharing_unit: str
    """`seconds`, or `forward passes` while seconds are not known."""
    seconds: Mapping[str, Price]
    """By stage key; stages without a price are missing."""
    todo: tuple[Stage, ...]
    slots: int
    overhead: float
    """Seconds that a run takes beyond its stages: starting, scoring."""

    @functools.cached_property
    def unknown(self) -> list[Stage]:
        """Stages to do that have no price."""
        return [stage for stage in self.todo if stage.key not in self.seconds]

    @property
    def work(self) -> Price:
        """Of all stages to do, as if done one after another. Bounds are added up: errors of one machine go together."""
        return total([self.seconds[stage.key] for stage in self.todo if stage.key in self.seconds])

    @property
    def wall(self) -> Price:
        """Of the run: the work spread over the slots, no shorter than its longest chain."""
        work = self.work
        longest = max((sum(self.seconds[s.key].seconds for s in stage.chain if s.key in self.seconds) for stage in self.todo), default=0.0)
        extra = self.overhead if self.todo else 0.0
        spread = [max(bound / self.slots, longest * bound / work.seconds if work.seconds else 0.0) for bound in _bounds(work)]
        return Price(spread[0] + extra, spread[1] + extra, spread[2] + extra, work.host_mib, work.device_mib, work.basis)

    def by_op(self) -> dict[str, tuple[int, Price]]:
        """Number and price of the stages to do, by operation."""
        groups: dict[str, list[Stage]] = defaultdict(list)
        for stage in self.todo:
            groups[stage.op].append(stage)
        return {op: (len(group), total([self.seconds[s.key] for s in group if s.key in self.seconds])) for op, group in groups.items()}


def _bounds(price: Price) -> tuple[float, float, float]:
    return price.seconds, price.low, price.high


def total(prices: Sequence[Price]) -> Price:
    """The sum of seconds and of bounds, the largest of memories, what most of it rests on."""
    hosts = [price.host_mib for price in prices if price.host_mib is not None]
    devices = [price.device_mib for price in prices if price.device_mib is not None]
    bases = Counter(price.basis for price in prices if price.seconds)
    return Price(
        sum(price.seconds for price in prices),
        sum(price.low for price in prices),
        sum(price.high for price in prices),
        max(hosts, default=None),
        max(devices, default=None),
        bases.most_common(1)[0][0] if bases else "",
    )


def bill(
    plan: Plan, todo: Sequence[Stage], history: History, how: Callable[[Stage], tuple[str, str]], *, slots: int, overhead: float = 0.0
) -> Bill:
    """The price of a plan; `how` gives device and execution profile (its words) of a stage."""
    stages = plan.stages
    prices = {key: price for key, stage in stages.items() if (price := history.price(stage, *how(stage))) is not None}
    known = len(prices) == len(stages)
    work = {key: prices[key].seconds if known else FORWARD.get(stage.op, 1.0) * units(stage) for key, stage in stages.items()}
    alone: dict[str, float] = {}
    for key, stage in stages.items():  # parents stand before their children
        alone[key] = work[key] + (alone[stage.parent.key] if stage.parent else 0.0)
    cells = sum(alone[planned.work.last.key] for planned in plan.cells if planned.work)
    distinct = sum(work.values())
    unit = "seconds" if known else "forward passes"
    return Bill(cells / distinct if distinct else 1.0, unit, prices, tuple(todo), max(1, slots), overhead)


def cell_price(made: Bill, stage: Stage) -> Price | None:
    """What a cell costs alone, its whole chain; None where part of it has no price."""
    chain = [made.seconds.get(each.key) for each in stage.chain]
    found = [price for price in chain if price is not None]
    return total(found) if len(found) == len(chain) else None


def as_planned(made: Bill) -> dict[str, Any]:
    """The prediction as JSON, kept with a run so that it can be held against what the run took."""
    unknown = {stage.op for stage in made.unknown}
    ops = {op: {"stages": number, **({} if op in unknown else _document(price))} for op, (number, price) in made.by_op().items()}
    return {"ops": ops, "wall": _document(made.wall), "unknown": len(made.unknown), "slots": made.slots, "sharing": made.sharing}


def _document(price: Price) -> dict[str, float]:
    return {"seconds": price.seconds, "low": price.low, "high": price.high}


def as_spent(done: Iterable[tuple[str, float]], wall: float) -> dict[str, Any]:
    """What a run took: (operation, seconds) of its stages, and its wall time."""
    ops: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for op, seconds in done:
        ops[op] += seconds  # type: ignore[assignment]  # typeshed has counters of whole numbers only
        number[op] += 1
    return {"ops": {op: {"stages": number[op], "seconds": seconds} for op, seconds in ops.items()}, "wall": wall}
