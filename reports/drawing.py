"""What every figure shares: style, palette, the grid of panels, and bytes that depend on the results alone."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, FAINT = "#222222", "#767676"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours without the yellow, which is too pale for lines on white."""
MARKERS, DASHES = ("o", "s", "^", "D", "v"), ("-", "--", "-.", ":")
MAX_PANELS = 12
MAX_TICKS = 12
"""Most classes that are named along an axis."""
_STYLE: dict[str, Any] = {  # matplotlib's settings are untyped
    "svg.hashsalt": "skewbench",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a `$` in a name is a dollar sign
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.unicode_minus": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Drawing:
    """A figure with its words. `alt` says what a reader who does not see it needs."""

    name: str
    title: str
    alt: str
    caption: str
    figure: Figure

    def width(self) -> int:
        """In CSS pixels."""
        return round(self.figure.get_figwidth() * 96)

    def height(self) -> int:
        """In CSS pixels."""
        return round(self.figure.get_figheight() * 96)


def style() -> Any:
    """The settings under which figures are made and written, as a context."""
    return matplotlib.rc_context(_STYLE)  # type: ignore[arg-type]  # the keys' type is a list of 300 names


@dataclass(frozen=True)
class Grid:
    """A figure and its panels, row by row; unused places are left blank."""

    figure: Figure
    panels: tuple[Axes, ...]
    num_columns: int

    def is_left(self, index: int) -> bool:
        """True for a panel of the first column."""
        return index % self.num_columns == 0


def grid(num_panels: int, *, width: float, height: float, num_columns: int = 3, share_y: bool = False) -> Grid:
    """Panels of `width` x `height` inches."""
    num_columns = min(num_columns, num_panels)
    num_rows = -(-num_panels // num_columns)
    figure = Figure(figsize=(width * num_columns + 0.9, height * num_rows + 0.4), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False, sharey=share_y).ravel()
    for unused in axes[num_panels:]:
        unused.set_axis_off()
    return Grid(figure, tuple(axes[:num_panels]), num_columns)


def color(index: int) -> str:
    """A colour that stays with a method in every figure; it comes round after seven, with another marker and dash."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """See `color`."""
    return MARKERS[index // len(PALETTE) % len(MARKERS)]


def dash(index: int) -> str:
    """See `color`."""
    return DASHES[index // len(PALETTE) % len(DASHES)]


def cut(text: str, *, limit: int = 34) -> str:
    """A title that fits over its panel, on two lines if it must."""
    if len(text) <= limit:
        return text
    middle = text.rfind(" ", 0, limit)
    first, rest = (text[:middle], text[middle + 1 :]) if middle > 0 else (text[:limit], text[limit:])
    return f"{first}\n{rest if len(rest) <= limit else rest[: limit - 1] + '…'}"


def capped(what: str, shown: int, total: int) -> str:
    """A sentence for the caption where not everything is drawn."""
    return f" Drawn: the first {shown} of {total} {what}; all are in the tables." if shown < total else ""


def legend_below(figure: Figure, *, num_columns: int) -> None:
    """One legend for all panels under them, in as many columns (at most `num_columns`) as fit; the figure grows by its height."""
    handles = {text: drawn for axes in figure.axes for drawn, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # matplotlib leaves it unannotated
    for columns in range(num_columns, 0, -1):
        legend = figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=columns)
        size = legend.get_window_extent(renderer)
        if size.width <= 0.97 * figure.bbox.width or columns == 1:
            break
        legend.remove()
    width = max(figure.get_figwidth(), size.width / figure.dpi / 0.97)
    figure.set_size_inches(width, figure.get_figheight() + size.height / figure.dpi)


def name_classes(axes: Axes, names: Sequence[str], *, both: bool = False) -> None:
    """Tick labels where there is room, numbers where there is not."""
    if len(names) > MAX_TICKS:
        axes.set_xlabel("class (label order)")
        return
    short = [name if len(name) <= 12 else f"{name[:11]}…" for name in names]
    upright = max(map(len, short), default=0) <= 2
    axes.set_xticks(range(len(names)), short, rotation=0 if upright else 45, ha="center" if upright else "right", rotation_mode="anchor")
    if both:
        axes.set_yticks(range(len(names)), short)


def svg_and_png(figure: Figure) -> dict[str, bytes]:
    """The figure's bytes by format; the same results give the same bytes."""
    found = {}
    with warnings.catch_warnings():
        # a class name in a script that DejaVu lacks: the SVG keeps the text, the PNG shows boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for kind in ("svg", "png"):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=144, transparent=True, metadata={"Date": None} if kind == "svg" else {"Software": None})
            figure.set_layout_engine("none")  # the layout stands: the second format need not compute it again
            found[kind] = buffer.getvalue()
    return found
