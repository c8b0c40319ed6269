"""What a figure shows, free of any plotting library: panels of series over axes. It is drawn twice from the same numbers.

`reports.drawing` makes the static picture (matplotlib), `templates/charts.js` the interactive one (Plotly) from `Chart.document`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from benchmark.summary import Mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#AA00EE", "#880066", "#000088", "#000000")
"""Three of Okabe and Ito's colours, and four found by a search: contrast 3 : 1 on white, and told apart with any kind of colour vision."""
DARK_PALETTE = ("#4CA6E0", "#F07B3F", "#22EE88", "#AA44EE", "#EE0066", "#EECC00", "#E8E8E8")
"""The same for dark paper, in the same order."""
MARKERS, DASHES = ("o", "s", "^", "D", "v", "P", "X", "<", ">"), ("-", "--", "-.", ":")
"""Nine markers over seven colours: 63 series that differ in one or the other."""
INK, FAINT = -1, -2
"""Looks that are no method's: of levels and rules, and of single seeds."""
MAX_PANELS = 12
"""Most panels in one figure."""
FEW_PANELS = 6
"""So many are drawn, evenly spread, where there would be more than that."""
MAX_DOTS = 20
"""Most seeds that are shown one by one."""

Name = TypeVar("Name")
Kind = Literal["line", "points", "bars"]


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    heading: str = ""
    log: bool = False
    names: tuple[str, ...] = ()
    """Categories at 0, 1, 2, …; along the vertical axis from the top."""
    ticks: tuple[float, ...] = ()
    """Where something was measured, if these values are to be named."""
    from_zero: bool = False
    integers: bool = False


@dataclass(frozen=True)
class Series:
    """Values of one method, or of several that share a network. `look` is the method's place in the report: its colour and its marker."""

    kind: Kind
    x: tuple[float, ...]
    y: tuple[float, ...]
    look: int
    label: str = ""
    """In the legend; empty: not there."""
    x_error: tuple[float, ...] = ()
    """Half-widths of intervals; NaN where there is none."""
    y_error: tuple[float, ...] = ()
    band: bool = False
    """Draw the vertical interval as a band."""
    dashed: bool = False
    marked: bool = True
    strong: bool = False
    """Stands out: the best."""
    texts: tuple[str, ...] = ()
    """Said where the pointer stands on a value."""


@dataclass(frozen=True)
class Level:
    """A horizontal line across a panel with its interval."""

    label: str
    mean: Mean


@dataclass(frozen=True)
class Panel:
    """One coordinate system; or, with `heat`, a matrix of shares from 0 to 1 (NaN: nothing there), rows from the top."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    level: Level | None = None
    zero: bool = False
    """A vertical rule at x = 0."""
    heat: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Chart:
    """Panels side by side; a method has one look in all of them, and one legend below."""

    panels: tuple[Panel, ...]
    width: float
    height: float
    """Of a panel without its labels, in inches."""
    columns: int = 3
    share_y: bool = False
    scale: str = ""
    """What the colours of `heat` stand for."""

    def document(self) -> dict[str, Any]:
        """As JSON for `charts.js`: numbers with six digits, absent ones null."""
        return {"columns": self.columns, "width": self.width, "height": self.height, "scale": self.scale, "shareY": self.share_y,
                "panels": [_panel_document(panel) for panel in self.panels]}  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A picture with its words. `alt` says what a reader who does not see it needs."""

    block: ClassVar[str] = "figure"
    name: str
    title: str
    alt: str
    caption: str
    picture: Chart | Figure | Callable[[], Figure]
    """A chart is drawn static and interactive; a matplotlib figure as it is. What makes one is called under the report's style, maybe in
    another process."""


def values_of(means: Sequence[Mean]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and half-widths, ready for a series."""
    return tuple(mean.mean for mean in means), tuple(mean.half_width for mean in means)


def cut(text: str, *, limit: int = 34) -> str:
    """A title that fits over its panel, on two lines if it must."""
    if len(text) <= limit:
        return text
    middle = text.rfind(" ", 0, limit)
    first, rest = (text[:middle], text[middle + 1 :]) if middle > 0 else (text[:limit], text[limit:])
    return f"{first}\n{rest if len(rest) <= limit else rest[: limit - 1] + '…'}"


def drawn(names: Sequence[Name]) -> list[Name]:
    """What gets a panel: all up to MAX_PANELS, else FEW_PANELS at even distances, the first and the last among them."""
    if len(names) <= MAX_PANELS:
        return list(names)
    return [names[round(at * (len(names) - 1) / (FEW_PANELS - 1))] for at in range(FEW_PANELS)]


def capped(what: str, shown: int, total: int, *, rest: str = "all are in the tables") -> str:
    """A sentence for the caption where not everything is drawn; `rest` says where the others are."""
    return f" Drawn: {shown} of {total} {what}, evenly spread; {rest}." if shown < total else ""


def color(look: int) -> str:
    """A colour that stays with a method in every figure; it comes round after seven, with another dash."""
    return {INK: "#222222", FAINT: "#767676"}.get(look) or PALETTE[look % len(PALETTE)]


def marker(look: int) -> str:
    """A marker that stays with a method in every figure, for those to whom colours look alike."""
    return "o" if look < 0 else MARKERS[look % len(MARKERS)]


def dash(look: int) -> str:
    """See `color`."""
    return "-" if look < 0 else DASHES[look // len(PALETTE) % len(DASHES)]


def _panel_document(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {"title": panel.title, "x": _axis_document(panel.x), "y": _axis_document(panel.y)}
    found["series"] = [_series_document(series) for series in panel.series]
    if panel.level:
        mean = panel.level.mean
        interval = [_number(mean.low), _number(mean.high)] if mean.num > 1 else None
        found["level"] = {"label": panel.level.label, "at": _number(mean.mean), "interval": interval}
    return found | ({"zero": True} if panel.zero else {}) | ({"heat": [_numbers(row) for row in panel.heat]} if panel.heat else {})


def _axis_document(axis: Axis) -> dict[str, Any]:
    given = {"heading": axis.heading, "log": axis.log, "names": axis.names, "ticks": axis.ticks, "fromZero": axis.from_zero}
    return {key: value for key, value in given.items() if value}


def _series_document(series: Series) -> dict[str, Any]:
    given: Mapping[str, Any] = {
        "label": series.label, "xe": _numbers(series.x_error), "ye": _numbers(series.y_error), "band": series.band,
        "dashed": series.dashed, "strong": series.strong, "bare": not series.marked, "texts": series.texts,
    }  # fmt: skip
    fixed = {"kind": series.kind, "x": _numbers(series.x), "y": _numbers(series.y), "look": series.look}
    return fixed | {key: value for key, value in given.items() if value}


def _numbers(values: Sequence[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
