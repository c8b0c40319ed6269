"""Pictures for the tracker, PNG: the confusion matrix and the training curves of a configuration over its seeds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.records import CellResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_TICKS = 30
MAX_CURVES = 20
"""More seeds than this are one cloud: the first ones are drawn."""
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Okabe and Ito's, told apart by everyone."""


def confusion_picture(matrices: Sequence[Sequence[Sequence[int]]], names: Sequence[str]) -> bytes:
    """Shares of each true class, over all matrices [K, K]."""
    confusion_KK = np.sum(np.array(matrices), axis=0)
    figure = _figure((4.4, 4.6))
    figure.subplots_adjust(left=0.26, right=0.97, bottom=0.3, top=0.89)  # a layout engine would draw everything twice
    axes = figure.add_subplot()
    share_KK = confusion_KK / np.maximum(confusion_KK.sum(axis=1, keepdims=True), 1)
    axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1)  # a colour bar would take as long as all the rest
    title = f"test part, {_seeds(len(matrices))}\nshare of the true class: white 0, blue 1"
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    if len(names) == len(confusion_KK) <= MAX_TICKS:
        shown = [_tick(name) for name in names]
        axes.set_xticks(range(len(names)), shown, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), shown, fontsize=8)
    return _png(figure)


def curves_picture(cells: Sequence[CellResult]) -> bytes:
    """Training loss by step, a line a seed; where the recipe watches accuracy, that of the training and the test part below it."""
    watched = [cell for cell in cells if cell.history]
    figure = _figure((6, 5.6 if watched else 3.2))
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.16 if not watched else 0.1, top=0.9, hspace=0.3)
    loss, *rest = figure.subplots(1 + bool(watched), 1, squeeze=False)[:, 0]
    for cell in cells[:MAX_CURVES]:
        _line(loss, cell.curve, BLUE)
    loss.set(ylabel="training loss", title=f"training, {_seeds(min(len(cells), MAX_CURVES))}")
    for axes in rest:
        for part, colour in (("train.accuracy", ORANGE), ("test.accuracy", GREEN)):
            for cell in watched[:MAX_CURVES]:
                _line(axes, cell.history.get(part, ()), colour)
            axes.plot([], [], color=colour, label=part.replace(".", " "))
        axes.set(ylabel="accuracy")
        axes.legend(frameon=False)
    (rest or [loss])[-1].set_xlabel("step")
    return _png(figure)


def _line(axes: Axes, points: Sequence[tuple[int, float]], colour: str) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1, alpha=0.6)


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number > 1)}"


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=size)


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)  # the one without a screen
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _tick(name: str) -> str:
    """Short, on one line, no mathematics, and only characters that the font has: a missing one would be a warning for each seed."""
    text = "".join(char if char.isprintable() and ord(char) < 0x250 else "?" for char in name).replace("$", r"\$")
    return text if len(text) <= 16 else text[:15] + "…"
