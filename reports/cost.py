"""What methods cost, measured alone, and what the run was expected to take and took."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmark.records import SuiteResults
from benchmark.summary import Entry, Summary
from reports.section import Block, Heading, Report, Section
from reports.table import Column, Shown, Table, number

WHERE = (Column("condition"), Column("method"))
FIGURES = {
    "seconds": Column("training", "s", numeric=True),
    "ms_per_step": Column("step", "ms", numeric=True),
    "images_per_second": Column("training", "images/s", numeric=True),
    "inference_images_per_second": Column("inference", "images/s", numeric=True),
    "inference_ms_per_batch": Column("inference batch of 1024", "ms", numeric=True),
    "peak_host_mib": Column("peak host", "MiB", numeric=True),
    "own_host_mib": Column("own host", "MiB", numeric=True),
    "peak_device_mib": Column("peak device", "MiB", numeric=True),
    "peak_device_reserved_mib": Column("device reserved", "MiB", numeric=True),
    "parameters": Column("parameters", numeric=True),
    "macs": Column("MACs per image", numeric=True),
    "measured_energy_j": Column("energy of the measured part", "J", numeric=True),
}
"""What is shown of a configuration measured alone, where it has been measured."""
FLAGS = {"throttled": "throttled", "loader_bound": "loader-bound"}
CAPTION = (
    "Cost of each method measured alone: a process of its own, nothing shared, pinned, warmed up, medians of repeats. Training is the "
    "whole chain of the method (what it shares with others included), with all planned steps at the measured pace. Peak host is the whole "
    "process, own host what was added to it."
)
NONE = (
    "Time and memory of the methods: not measured. `skewbench run SUITE --profile` measures each alone. The seconds in the table of cells "
    "were spent beside other work and on networks that cells share: they are not a method's cost."
)


def part(report: Report) -> Section | None:
    """What methods cost alone, and planned against actual."""
    if not report.measured:
        return None
    blocks: list[Block] = [cost(report.summary)]
    blocks += [Heading("Planned against actual"), account(report.results)] if report.results.account else []
    return Section("cost", "Time and memory", blocks)


def cost(summary: Summary) -> Table:
    """Time and memory of the configurations that were measured alone."""
    every = [(entry, entry.cells[0].solo) for entry in summary.all_entries() if entry.cells and entry.cells[0].solo]
    entries = [(entry, solo) for entry, solo in every if not solo.get("contended")]
    names = [name for name in FIGURES if any(name in solo for _, solo in entries)]
    energy = [] if "measured_energy_j" in names or not entries else [Column("energy")]
    columns = (*WHERE, *(FIGURES[name] for name in names), *energy, *([Column("flags")] if entries else []))
    absent = [Shown("not measured")] * len(energy)
    tidy_names = tuple(dict.fromkeys(name for _, solo in every for name in solo))
    return Table(
        name="cost",
        caption=(CAPTION if every else NONE) + _left_out(len(every) - len(entries), len(every)),
        columns=columns,
        rows=tuple((*_where(e), *(_shown(name, solo) for name in names), *absent, Shown(_flags(solo))) for e, solo in entries),
        tidy_columns=(*WHERE, *map(raw_column, tidy_names)),
        tidy_rows=tuple((e.condition, e.row, *(solo.get(name) for name in tidy_names)) for e, solo in every),
    )


def uncontended(entry: Entry) -> Mapping[str, float]:
    """What the configuration took when it was measured alone; nothing where other processes took part of the machine meanwhile."""
    solo = entry.cells[0].solo if entry.cells else {}
    return {} if solo.get("contended") else solo


def _left_out(contended: int, total: int) -> str:
    if not contended:
        return ""
    return (
        f" Left out: {contended} of {total} that were contended (other processes took more than 5 % of the machine meanwhile); "
        "they are in the CSV file. `skewbench run SUITE --profile` on a quiet machine measures them again."
    )


def _where(entry: Entry) -> tuple[Shown, Shown]:
    return Shown(entry.condition), Shown(entry.row)


def _shown(name: str, solo: Mapping[str, float]) -> Shown:
    value = solo.get(name)
    if value is None:
        return Shown("not measured")
    if name == "seconds":
        return Shown(f"{value:.1f} ({solo['seconds_low']:.1f} to {solo['seconds_high']:.1f})", value)
    return number(value, 2 if abs(value) < 100 and value != round(value) else 0)


def _flags(solo: Mapping[str, float]) -> str:
    return ", ".join(words for name, words in FLAGS.items() if solo.get(name)) or "–"


def account(results: SuiteResults) -> Table:
    """Planned against actual: seconds of the stages of the last run that computed something, and its wall time."""
    planned, spent = results.account.get("planned"), results.account.get("spent")
    rows: list[tuple[str, float, float, float, float]] = []
    if planned and spent:
        for op, took in spent["ops"].items():
            expected = planned["ops"].get(op, {})
            rows.append((op, *_three(expected), took["seconds"]))
        rows.append(("wall time of the run", *_three(planned["wall"] if not planned["unknown"] else {}), spent["wall"]))
    columns = (Column("what"), Column("planned", "s", numeric=True), Column("interval", "s"), Column("actual", "s", numeric=True))
    return Table(
        name="account",
        caption="Planned against actual, of the last run that computed something. Seconds of stages are added up over the workers.",
        columns=(*columns, Column("actual / planned", numeric=True)),
        rows=tuple(_account_row(*row) for row in rows),
        tidy_columns=(Column("what"), *(Column(name, "s", numeric=True) for name in ("planned", "low", "high", "actual"))),
        tidy_rows=tuple(rows),
    )


def _account_row(what: str, middle: float, low: float, high: float, took: float) -> tuple[Shown, ...]:
    return Shown(what), number(middle, 1), Shown(_span(low, high)), number(took, 1), _ratio(took, middle)


def _three(price: Mapping[str, float]) -> tuple[float, float, float]:
    return price.get("seconds", math.nan), price.get("low", math.nan), price.get("high", math.nan)


def _span(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.0f} to {high:.0f}"


def _ratio(took: float, planned: float) -> Shown:
    return number(took / planned) if planned and not math.isnan(planned) else Shown("–")


UNITS = {"seconds": "s", "cpu_seconds": "s", "base_seconds": "s", "ms_per_step": "ms", "inference_ms_per_batch": "ms",
         "images_per_second": "images/s", "inference_images_per_second": "images/s", "energy_j": "J"}  # fmt: skip
"""Of figures by the head of their key; others have their unit as an ending."""


def raw_column(key: str) -> Column:
    """A column of a CSV file for one figure of a profile, with its unit."""
    head = key.partition(".")[0]
    endings = {"_mib": "MiB", "_j": "J"}
    found = UNITS.get(head) or next((unit for ending, unit in endings.items() if head.endswith(ending)), "")
    return Column(key, found or ("s" if head.startswith("seconds") else ""), numeric=True)
