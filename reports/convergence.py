"""The figure of what a network gets right while it trains: accuracy on train and test (Buda et al. 2018, Fig. 8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from benchmark.records import CellResult
from benchmark.summary import Entry, Mean, Summary, mean_of, shown_mean
from reports.charts import INK, Axis, Chart, Drawing, Panel, Series, capped, cut, drawn, values_of
from reports.study import partial_sampling

DASHED = {"train.accuracy": True, "test.accuracy": False}
"""Whether the line of a part of the data is dashed."""
MAX_LINES = 8
"""Most networks in a panel."""
TOLD_PANELS = 3
"""Panels whose numbers the description tells."""
LEFT_OUT = "the others are left out"

Track = tuple[tuple[int, Mean], ...]
Network = tuple[tuple[str, Track], ...]
"""Tracks by part: what networks are told apart by."""


def convergence(summary: Summary) -> Drawing | None:
    """Accuracy by iteration, mean over seeds with a band, one panel per condition; methods that share a network share a line."""
    partial = partial_sampling(summary)
    kept = {name: {row: e for row, e in rows.items() if partial.get(row, row) == row} for name, rows in summary.entries.items()}
    monitored = [name for name, rows in kept.items() if any(cell.history for entry in rows.values() for cell in entry.cells)]
    shown = {name: networks for name in drawn(monitored) if (networks := _networks(kept[name]))}
    if not shown:
        return None
    panels = tuple(_panel(name, networks, summary) for name, networks in shown.items())
    caption = "Solid: test part, dashed: training part; mean over seeds, band: its 95 % t interval. Methods that share a trained network "
    caption += "share a line." + (" Partial sampling is left out." if partial else "")
    caption += capped("conditions", len(shown), len(monitored), rest=LEFT_OUT)
    most = max(len(networks) for networks in shown.values())
    caption += f" Of {most} networks of a condition the first {MAX_LINES} are drawn." if most > MAX_LINES else ""
    return Drawing("convergence", "Accuracy while training", _told(shown), caption, Chart(panels, 2.7, 1.8))


def _networks(rows: Mapping[str, Entry]) -> dict[Network, list[str]]:
    """The rows by what their networks did while training; those without a history are absent."""
    found: dict[Network, list[str]] = defaultdict(list)
    for row, entry in rows.items():
        found[tuple((part, mean_track(entry.cells, part)) for part in DASHED)].append(row)
    return {network: names for network, names in found.items() if any(track for _, track in network)}


def mean_track(cells: Sequence[CellResult], part: str) -> Track:
    """(iteration, mean) at the iterations that every finished cell with this part has."""
    own = [dict(cell.history[part]) for cell in cells if cell.status == "ok" and cell.history.get(part)]
    if not own:
        return ()
    common = sorted(set.intersection(*(set(track) for track in own)))
    means = ((at, mean_of(track[at] for track in own)) for at in common)
    return tuple((at, mean) for at, mean in means if mean.num)


def _panel(name: str, networks: Mapping[Network, Sequence[str]], summary: Summary) -> Panel:
    """The parts of the data are told by the kind of the line, the networks by colour and marker."""
    series = [
        _line(track, summary.rows.index(names[0]), DASHED[part], "" if DASHED[part] and dict(network).get("test.accuracy") else names)
        for network, names in list(networks.items())[:MAX_LINES]
        for part, track in network
        if track
    ]
    kinds = [Series("line", (), (), INK, part.partition(".")[0], dashed=dashed, marked=False) for part, dashed in DASHED.items()]
    return Panel(name, Axis("iteration", integers=True), Axis("accuracy"), (*series, *kinds))


def _line(track: Track, look: int, dashed: bool, names: Sequence[str]) -> Series:
    means, widths = values_of([mean for _, mean in track])
    steps = tuple(float(step) for step, _ in track)
    return Series("line", steps, means, look, cut(", ".join(names), limit=44), y_error=widths, band=True, dashed=dashed)


def _told(shown: Mapping[str, Mapping[Network, Sequence[str]]]) -> str:
    """Where the lines of the first panels end."""
    parts = []
    for name, networks in list(shown.items())[:TOLD_PANELS]:
        for network, rows in list(networks.items())[:MAX_LINES]:
            ends = (f"{part.partition('.')[0]} {shown_mean(track[-1][1])}" for part, track in network if track)
            parts.append(f"{rows[0]} under {name} {' and '.join(ends)}")
    rest = f"; {len(shown) - TOLD_PANELS} more panels" if len(shown) > TOLD_PANELS else ""
    return f"Accuracy at the end: {', '.join(parts)}{rest}."
