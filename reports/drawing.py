"""The static picture of a chart: matplotlib, laid out by hand, with bytes that depend on the results alone.

By hand, because a layout engine draws each text twice to measure it: that took three quarters of a report's time.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from reports.charts import FAINT, INK, Chart, Drawing, Panel, color
from reports.panels import NAME_LIMIT, SIZE, draw_panel, is_upright, title_of

CHARACTER, LINE = 0.068, 0.17
"""Inches: a generous character's width and a line's height at that size."""
_STYLE: dict[str, Any] = {  # matplotlib's settings are untyped
    "svg.hashsalt": "skewbench",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a `$` in a name is a dollar sign
    "font.family": "sans-serif",
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,  # where it is: to look for its place takes a fifth of a figure's time
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": color(FAINT),
    "axes.unicode_minus": True,
    "text.color": color(INK),
    "axes.labelcolor": color(INK),
    "xtick.color": color(INK),
    "ytick.color": color(INK),
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Picture:
    """A drawing's bytes by file ending, and its size in CSS pixels."""

    files: dict[str, bytes]
    width: int
    height: int


def draw(drawing: Drawing, endings: Sequence[str] = ("svg",)) -> Picture:
    """The files of a drawing; the same results give the same bytes."""
    with style(), warnings.catch_warnings():
        # a class name in a script that DejaVu lacks: the SVG keeps the text, other formats show boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = _figure(drawing.picture)
        files = {ending: _written(figure, ending) for ending in endings}
    return Picture(files, round(figure.get_figwidth() * 96), round(figure.get_figheight() * 96))


def style() -> Any:
    """The settings under which figures are made, as a context."""
    return matplotlib.rc_context(_STYLE)  # type: ignore[arg-type]  # the keys' type is a list of 300 names


def _figure(picture: Chart | Figure | Callable[[], Figure]) -> Figure:
    if isinstance(picture, Chart):
        return figure_of(picture)
    return picture if isinstance(picture, Figure) else picture()


def _written(figure: Figure, ending: str) -> bytes:
    buffer = io.BytesIO()
    dated = {"svg": "Date", "pdf": "CreationDate"}.get(ending, "Software")
    figure.savefig(buffer, format=ending, dpi=144, transparent=True, metadata={dated: None})
    return buffer.getvalue()


@dataclass(frozen=True)
class _Room:
    """Inches that labels take around the panels of a chart."""

    left: float
    """Beside the first panel of a line; `between` beside the others."""
    between: float
    below: float
    above: float


def figure_of(chart: Chart) -> Figure:
    """The chart as a figure of a size that its labels and its legend need."""
    count = len(chart.panels)
    columns = 2 if count == 4 and chart.columns == 3 else min(chart.columns, count)
    lines = -(-count // columns)
    room = _room(chart)
    legend = _legend_of(chart)
    width = room.left + columns * chart.width + (columns - 1) * room.between + (0.9 if chart.scale else 0.15)
    texts, per_line = _legend_columns(legend, width)
    foot = LINE * 1.25 * -(-len(texts) // per_line) + 0.15 if texts else 0.05
    height = lines * (chart.height + room.above + room.below) + foot
    width = max(width, _legend_width(texts, per_line))
    figure = Figure(figsize=(width, height))
    for index, panel in enumerate(chart.panels):
        line, place = divmod(index, columns)
        left = room.left + place * (chart.width + room.between)
        bottom = height - (line + 1) * (chart.height + room.above + room.below) + room.below
        axes = figure.add_axes((left / width, bottom / height, chart.width / width, chart.height / height))
        draw_panel(axes, panel, is_first=place == 0, is_last=index + columns >= count)
    _same_limits(figure, chart)
    if texts:
        _draw_legend(figure, texts, per_line)
    if chart.scale:
        _draw_scale(figure, chart.scale)
    return figure


def _room(chart: Chart) -> _Room:
    panel = chart.panels[0]
    upright = is_upright(panel.x)
    longest = max((min(len(n), NAME_LIMIT if not panel.heat else 12) for p in chart.panels for n in p.y.names), default=0)
    left = 0.25 + longest * CHARACTER * _scale(panel) if panel.y.names else 0.75
    names = 0.25 if upright else 0.15 + min(12, max(map(len, panel.x.names), default=0)) * CHARACTER * 0.72 * _scale(panel)
    titles = max(len(title_of(panel).split("\n")) for panel in chart.panels)
    between = left if panel.heat else 0.3 if panel.y.names else 0.55
    return _Room(left, between, names + (0.32 if panel.x.heading else 0.12), titles * LINE + 0.12)


def _scale(panel: Panel) -> float:
    return 0.7 if panel.heat else 1.0


def _same_limits(figure: Figure, chart: Chart) -> None:
    if chart.share_y and figure.axes:
        limits = [axes.get_ylim() for axes in figure.axes]
        for axes in figure.axes:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _legend_of(chart: Chart) -> list[str]:
    labels = [series.label for panel in chart.panels for series in panel.series]
    labels += [panel.level.label for panel in chart.panels if panel.level]
    return [label for label in dict.fromkeys(labels) if label]


def _legend_columns(texts: Sequence[str], width: float) -> tuple[Sequence[str], int]:
    """As many columns (at most four) as fit."""
    return texts, next((columns for columns in range(4, 1, -1) if _legend_width(texts, columns) <= width), 1)


def _legend_width(texts: Sequence[str], columns: int) -> float:
    """Matplotlib fills columns top down; each is as wide as its widest text."""
    each = -(-len(texts) // columns) if texts else 1
    groups = [texts[at : at + each] for at in range(0, len(texts), each)]
    return sum(max(len(text) for text in group) * CHARACTER + 0.55 for group in groups) + 0.1


def _draw_legend(figure: Figure, texts: Sequence[str], columns: int) -> None:
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    figure.legend([handles[text] for text in texts], texts, loc="lower left", bbox_to_anchor=(0, 0), ncols=columns, borderaxespad=0.2)


def _draw_scale(figure: Figure, text: str) -> None:
    width = figure.get_figwidth()
    axes = figure.add_axes((1 - 0.62 / width, 0.25, 0.12 / width, 0.5))
    axes.imshow(np.linspace(1, 0, 64)[:, None], cmap="Blues", aspect="auto", extent=(0, 1, 0, 1), vmin=0, vmax=1)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(text, fontsize=SIZE * 0.8)
    axes.tick_params(labelsize=SIZE * 0.7, length=2)
