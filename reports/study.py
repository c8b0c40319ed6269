"""What a study's figures show: means along one axis of the imbalance or of the sampling, grouped into panels. Nothing is drawn here."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmark.labels import RATIO, Attributes, label
from benchmark.summary import Entry, Mean, Summary

MINORITY = "imbalance.minority"
REMAINING = "method.ratio"
"""The imbalance that a sampling method leaves."""
UNTREATED, BALANCED = "none", "none"
"""The method that does nothing, and the imbalance that removes nothing."""
MIN_LADDER = 3
"""Remaining ratios from which on a method is drawn against them."""

Line = Mapping[float, Mean]
"""Mean and interval by the value along the axis, ascending."""


@dataclass(frozen=True)
class Axis:
    """An attribute that is varied, and the one that is held fixed in a panel."""

    name: str
    along: str
    fixed: str
    heading: str
    symbol: str
    """Of what is held fixed, as panel titles say it."""
    log: bool


RATIO_AXIS = Axis("ratio", RATIO, MINORITY, "imbalance ratio ρ", "μ", log=True)
MINORITY_AXIS = Axis("minority", MINORITY, RATIO, "minority fraction μ", "ρ", log=False)


@dataclass(frozen=True)
class Panel:
    """Lines by row of the summary, under one setting and one value of what is held fixed."""

    setting: str
    fixed: float | None
    lines: Mapping[str, Line]
    level: Mean | None
    """The untreated method: on the unimbalanced set, or (partial sampling) on the same set without sampling."""


def panels(summary: Summary, metric: str, axis: Axis) -> list[Panel]:
    """One panel per setting and fixed value in which something was measured at two values along the axis at least."""
    entries = [entry for entry in measured(summary, metric) if value(entry, axis.along) is not None]
    entries = _without_partial_sampling(entries, partial_sampling(summary))
    settings = _settings(entries, without={axis.along, axis.fixed})
    levels = {_apart_from_imbalance(entry): entry.scores[metric].mean for entry in measured(summary, metric) if _is_level(entry)}
    groups: dict[tuple[str, float | None], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[settings[entry.cells[0].config_key], value(entry, axis.fixed)].append(entry)
    order = list(dict.fromkeys(setting for setting, _ in groups))
    found = [
        Panel(setting, fixed, _lines(group, metric, axis.along), levels.get(_apart_from_imbalance(group[0])))
        for (setting, fixed), group in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1] or 0.0))
    ]
    return [panel for panel in found if len({at for line in panel.lines.values() for at in line}) > 1]


def ladders(summary: Summary, metric: str) -> list[Panel]:
    """One panel per condition in which a method was measured at three remaining ratios at least."""
    families = partial_sampling(summary)
    found = []
    for condition, rows in summary.entries.items():
        groups: dict[str, list[Entry]] = defaultdict(list)
        for row, entry in rows.items():
            if row in families and entry.scores[metric].mean.num:
                groups[families[row]].append(entry)
        lines = {leading: next(iter(_lines(group, metric, REMAINING, name=leading).values())) for leading, group in groups.items()}
        lines = {leading: line for leading, line in lines.items() if len(line) >= MIN_LADDER}
        level = next((e.scores[metric].mean for e in rows.values() if _is_untreated(e) and e.scores[metric].mean.num), None)
        found += [Panel(condition, None, lines, level)] if lines else []
    return found


def partial_sampling(summary: Summary) -> dict[str, str]:
    """Rows that differ in the remaining ratio alone, where they are three or more: each by the row of the smallest ratio, its family's."""
    families: dict[str, dict[str, float]] = defaultdict(dict)
    for entry in summary.all_entries():
        ratio = value(entry, REMAINING)
        if ratio is not None:
            own = {key: given for key, given in entry.cells[0].attributes.items() if key.partition(".")[0] == "method"}
            families[_one_text({key: given for key, given in own.items() if key != REMAINING})][entry.row] = ratio
    wide = [rows for rows in families.values() if len(rows) >= MIN_LADDER]
    return {row: min(rows, key=lambda name: rows[name]) for rows in wide for row in rows}


def measured(summary: Summary, metric: str) -> list[Entry]:
    """The entries that have a mean of the metric."""
    return [entry for entry in summary.all_entries() if entry.scores[metric].mean.num]


def value(entry: Entry, attribute: str) -> float | None:
    """The attribute as a number; None where the entry has none."""
    given = entry.cells[0].attributes.get(attribute)
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) else None


def _without_partial_sampling(entries: Sequence[Entry], families: Mapping[str, str]) -> list[Entry]:
    return [entry for entry in entries if families.get(entry.row, entry.row) == entry.row]


def _settings(entries: Sequence[Entry], *, without: set[str]) -> Mapping[str, str]:
    """By configuration, the label of all that makes its condition but these attributes."""
    cells = [entry.cells[0] for entry in entries]
    return label([replace(c, attributes={k: v for k, v in c.attributes.items() if k not in without}) for c in cells]).condition


def _lines(entries: Sequence[Entry], metric: str, along: str, *, name: str | None = None) -> dict[str, Line]:
    found: dict[str, dict[float, Mean]] = defaultdict(dict)
    for entry in entries:
        at = value(entry, along)
        assert at is not None
        found[name or entry.row][at] = entry.scores[metric].mean
    return {row: dict(sorted(line.items())) for row, line in found.items()}


def _is_untreated(entry: Entry) -> bool:
    return entry.cells[0].attributes.get("method") == UNTREATED


def _is_level(entry: Entry) -> bool:
    return _is_untreated(entry) and entry.cells[0].attributes.get("imbalance") == BALANCED


def _apart_from_imbalance(entry: Entry) -> str:
    """What the unimbalanced set and an imbalanced one must have in common to be compared."""
    attributes = entry.cells[0].attributes
    return _one_text({key: given for key, given in attributes.items() if key.partition(".")[0] not in ("imbalance", "method")})


def _one_text(attributes: Attributes) -> str:
    return str(sorted(attributes.items()))  # keys differ, so values are never compared
