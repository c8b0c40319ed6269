"""One panel of a static picture: series, levels, matrices and the labels of axes, drawn with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from reports.charts import FAINT, INK, PALETTE, Axis, Panel, Series, color, cut, dash, marker

SIZE = 9.0
"""Points of ordinary text."""
MAX_NAMES = 12
"""Most classes that are named along an axis."""
NAME_LIMIT = 28


def title_of(panel: Panel) -> str:
    return "\n".join(cut(line) for line in panel.title.split("\n")) if panel.heat else cut(panel.title)


def is_upright(axis: Axis) -> bool:
    """Whether names along the horizontal axis need not be turned."""
    return len(axis.names) > MAX_NAMES or max((len(name) for name in axis.names), default=0) <= 2


def draw_panel(axes: Axes, panel: Panel, *, is_first: bool, is_last: bool) -> None:
    if panel.heat:
        _draw_heat(axes, panel)
        return
    bars = [series for series in panel.series if series.kind == "bars"]
    for series in panel.series:
        _draw_bars(axes, series, bars.index(series), len(bars)) if series.kind == "bars" else _draw_series(axes, series)
    if panel.level:
        _draw_level(axes, panel)
    if panel.zero:
        axes.axvline(0, color=color(INK), linewidth=1)
    axes.set_title(title_of(panel), loc="left")
    _horizontal(axes, panel.x, is_last=is_last or bool(panel.y.names))
    _vertical(axes, panel.y, is_first=is_first)
    axes.grid(axis="x" if panel.y.names else "y")
    axes.set_axisbelow(True)


def _draw_series(axes: Axes, series: Series) -> None:
    x, y = np.array(series.x, dtype=float), np.array(series.y, dtype=float)
    tint = PALETTE[1] if series.strong else color(series.look)
    shape = "s" if series.strong else marker(series.look)
    line = "none" if series.kind == "points" else "--" if series.dashed else dash(series.look)
    if series.look == FAINT:
        axes.plot(x, y, "o", markersize=2.5, color=tint, alpha=0.6, linewidth=0)
        return
    errors = {"xerr": _errors(series.x_error), "yerr": None if series.band else _errors(series.y_error)}
    every = max(1, len(x) // 6)
    marks = (series.look % every, every) if series.band else None
    bare = "none" if line == "none" else ""
    axes.errorbar(
        x, y, **errors, fmt=shape if series.marked else bare, linestyle=line, color=tint, markersize=4.5,
        linewidth=1.4, elinewidth=1.0, capsize=0 if series.kind == "line" else 2.5, label=series.label or "_", markevery=marks,
    )  # fmt: skip
    if series.band and series.y_error:
        widths = np.array(series.y_error, dtype=float)
        axes.fill_between(x, y - widths, y + widths, color=tint, alpha=0.18, linewidth=0)


def _errors(widths: Sequence[float]) -> Any:
    """None where no interval exists; matplotlib takes NaN as no bar."""
    return np.array(widths, dtype=float) if any(math.isfinite(width) for width in widths) else None


def _draw_bars(axes: Axes, series: Series, place: int, count: int) -> None:
    width = 0.84 / count
    left = np.array(series.x) - 0.42 + width * (place + 0.5)
    tint = "#b8b8b8" if series.look == FAINT else color(series.look)
    hatch = "" if series.look < 0 else ("", "///", "...")[series.look // len(PALETTE) % 3]
    axes.bar(left, series.y, width * 0.92, color=tint, label=series.label or "_", hatch=hatch)


def _draw_level(axes: Axes, panel: Panel) -> None:
    assert panel.level is not None
    mean = panel.level.mean
    if mean.num > 1:
        axes.axhspan(mean.low, mean.high, color=color(FAINT), alpha=0.15, linewidth=0)
    axes.axhline(mean.mean, linestyle="--", color=color(INK), linewidth=1, label=panel.level.label)


def _draw_heat(axes: Axes, panel: Panel) -> None:
    matrix = np.array(panel.heat, dtype=float)
    axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues", interpolation="nearest", aspect="auto")
    axes.set_facecolor("#e0e0e0")  # shows where a row is NaN
    axes.set_title(title_of(panel), fontsize=7.5)
    axes.tick_params(labelsize=SIZE * 0.7, length=2)
    _horizontal(axes, panel.x, is_last=True)
    if 0 < len(panel.y.names) <= MAX_NAMES:
        axes.set_yticks(range(len(panel.y.names)), [_short(name) for name in panel.y.names])
    if len(matrix) <= 6:
        for (row, column), value in np.ndenumerate(matrix):
            if math.isfinite(value):
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color="white" if value > 0.6 else color(INK))


def _horizontal(axes: Axes, axis: Axis, *, is_last: bool) -> None:
    axes.set_xlabel(axis.heading if is_last else "")
    if axis.log:
        axes.set_xscale("log")
    if axis.names:
        _names_below(axes, axis)
    elif axis.ticks and axis.log:
        _log_ticks(axes, axis.ticks)
    elif axis.ticks:
        axes.set_xticks(axis.ticks, [f"{value:g}" for value in axis.ticks])
    elif axis.log:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # matplotlib's own writes formulas
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=axis.integers))


def _names_below(axes: Axes, axis: Axis) -> None:
    """Tick labels where there is room, numbers where there is not."""
    if len(axis.names) > MAX_NAMES:
        axes.set_xlabel("class (label order)")
        return
    upright = is_upright(axis)
    turned: dict[str, Any] = {"rotation": 0 if upright else 45, "ha": "center" if upright else "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(axis.names)), [_short(name) for name in axis.names], **turned)


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _log_ticks(axes: Axes, values: Sequence[float], *, room: float = 0.16) -> None:
    """Name the values themselves, as many as stand apart by the share `room` of the axis; a tick for each."""
    places = [math.log10(value) for value in values]
    span = (places[-1] - places[0]) or 1.0
    named = [len(values) - 1]  # from the right: the largest is always named
    for at in reversed(range(len(values) - 1)):
        if (places[named[-1]] - places[at]) / span >= room:
            named.append(at)
    axes.set_xticks(values, [f"{value:g}" if at in named else "" for at, value in enumerate(values)])
    axes.xaxis.set_minor_locator(NullLocator())


def _vertical(axes: Axes, axis: Axis, *, is_first: bool) -> None:
    if axis.names:
        axes.set_ylim(len(axis.names) - 0.5, -0.5)
        short = [name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 1]}…" for name in axis.names]
        axes.set_yticks(range(len(axis.names)), short if is_first else [""] * len(axis.names))
        return
    axes.set_ylabel(axis.heading if is_first else "")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if axis.from_zero:
        axes.set_ylim(bottom=0)
