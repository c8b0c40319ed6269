"""History: what each finished cell measured, when, by which commit and where; and the series of it that may be compared.

A series is one configuration's metric over *moments*. A moment is one round over the seeds at one commit: it ends where a seed comes again
or the commit changes, so that a run that was killed and resumed is one moment. Scores depend on what is computed alone; times and memories
on the machine too, so these form a series per context.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.identity import canonical, digest
from benchmark.labels import label
from benchmark.moments import MEMORY, TIME, Moment, Point, Series
from benchmark.records import CellResult

OF_THE_CODE = ("code_version", "skewbench")
"""Parts of a context that say which code ran: what a history is about, and so no reason to part it."""
FLAGS = ("contended", "throttled")
"""A time that was measured beside other work is no match for one that was not."""


@dataclass
class _Round:
    commit: str
    at: float = 0.0
    values: dict[int, float] = field(default_factory=dict)


def point_of(result: CellResult) -> Point | None:
    """What the history keeps of a cell's result; None unless the cell is ok."""
    if result.status != "ok":
        return None
    context = dict(result.context)
    commit = str(context.get("code_version", ""))
    shared = {name: value for name, value in context.items() if name not in OF_THE_CODE}
    words = [str(context[name]) for name in ("host", "device") if context.get(name) is not None]
    words += [f"{context['threads']} threads"] if "threads" in context else []
    metrics = {name: value for name, value in result.metrics.items() if "/" not in name}
    return Point(
        result.suite, result.key, dict(result.attributes), result.seed, result.ended, commit, digest(canonical(shared)), " ".join(words),
        metrics, {**result.profile, **_taken(result.profile)},
    )  # fmt: skip


def _taken(profile: Mapping[str, float]) -> dict[str, float]:
    stages = [value for name, value in profile.items() if name.startswith("seconds.") and name != "seconds.monitor"]
    found = {TIME: sum(stages)} if stages else {}
    memory = profile.get("peak_device_mib", profile.get("peak_host_mib"))
    return found | ({MEMORY: memory} if memory is not None else {})


def point_from(document: Mapping[str, Any]) -> Point:
    """The point that `document` was made of."""
    return Point(**document)


def series_of(points: Iterable[Point], metrics: Mapping[str, bool | None]) -> list[Series]:
    """A series per configuration and metric (with whether more is better), of times and memories one per context, the latest one last.

    Points without the metric or where it is not finite are left out; so are series of nothing.
    """
    ordered = sorted(points, key=lambda point: (point.ended, point.cell))
    labels = _labels(ordered)
    groups: dict[tuple[str, str, str], list[tuple[Point, float]]] = defaultdict(list)
    for point in ordered:
        for name in metrics:
            score = point.metrics.get(name)
            value = point.profile.get(name) if score is None else score
            if value is not None and math.isfinite(value):
                groups[point.series_key, name, "" if score is not None else _place(point)].append((point, value))
    order = {(key, name): at for at, (key, name) in enumerate((key, name) for key in labels for name in metrics)}
    found = sorted(groups.items(), key=lambda item: (order[item[0][:2]], item[1][-1][0].ended))
    return [
        Series(key, labels[key], name, metrics[name], _words(place, own), _moments(own)) for (key, name, place), own in found
    ]  # fmt: skip


def _labels(points: Sequence[Point]) -> dict[str, str]:
    """A name of each configuration, in the order in which they first came."""
    cells = {
        point.series_key: CellResult(point.suite, point.cell, point.series_key, point.attributes, point.seed, "ok") for point in points
    }
    names = label(list(cells.values()))
    return {key: f"{names.row[key]} · {names.condition[key]}" for key in cells}


def _place(point: Point) -> str:
    """What two times must share to be compared."""
    return point.context + "".join(f"+{name}" for name in FLAGS if point.profile.get(name))


def _words(place: str, own: Sequence[tuple[Point, float]]) -> str:
    if not place:
        return ""
    digits, *flags = place.split("+")
    return ", ".join([f"{own[-1][0].where} [{digits[:6]}]", *flags])


def _moments(own: Sequence[tuple[Point, float]]) -> tuple[Moment, ...]:
    rounds: list[_Round] = []
    for point, value in own:
        if not rounds or rounds[-1].commit != point.commit or point.seed in rounds[-1].values:
            rounds.append(_Round(point.commit))
        rounds[-1].values[point.seed] = value
        rounds[-1].at = point.ended
    shift = _seed_effects(rounds)
    return tuple(
        Moment(found.at, found.commit, math.fsum(v - shift[s] for s, v in found.values.items()) / len(found.values), len(found.values))
        for found in rounds
    )


def _seed_effects(rounds: Sequence[_Round]) -> dict[int, float]:
    """By how much a seed differs from all seeds, over the rounds that have every seed; 0 where no round has or none is partial."""
    seeds = {seed for found in rounds for seed in found.values}
    whole = [found.values for found in rounds if len(found.values) == len(seeds)]
    if not whole or len(whole) == len(rounds):
        return dict.fromkeys(seeds, 0.0)
    means = {seed: math.fsum(values[seed] for values in whole) / len(whole) for seed in seeds}
    level = math.fsum(means.values()) / len(means)
    return {seed: mean - level for seed, mean in means.items()}
