"""The files of a run: the whole cell as JSON, the confusion matrix as JSON and as a picture, the log of a failure."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.records import CellResult
from trackers.content import OF_THE_SELECTION
from trackers.location import redact

MAX_TICKS = 30


def cell_files(cell: CellResult) -> dict[str, bytes]:
    """`cell.json` holds every field that is the cell's own, the resolved cell among them, so that the record can be read back."""
    names = [item.name for item in dataclasses.fields(cell) if item.name not in OF_THE_SELECTION]
    files = {"cell.json": _json({name: getattr(cell, name) for name in names})}
    if cell.confusion_KK is not None:
        files["confusion.json"] = _json({"rows": "true class", "classes": cell.class_names, "confusion": cell.confusion_KK})
    if cell.status != "ok" and cell.log_tail:
        files["log.txt"] = redact(cell.log_tail).encode("utf-8", "backslashreplace")
    return files


def configuration_files(cells: Sequence[CellResult]) -> dict[str, bytes]:
    """`confusion.png` over all seeds: a picture takes 0.1 s, so there is one a configuration and not one a cell."""
    matrices = [np.array(cell.confusion_KK) for cell in cells if cell.confusion_KK is not None]
    if not matrices or any(matrix.shape != matrices[0].shape for matrix in matrices):
        return {}
    return {"confusion.png": _picture(np.sum(matrices, axis=0), cells[0].class_names, num_seeds=len(matrices))}


def _json(value: object) -> bytes:
    return json.dumps(_plain(value), indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _plain(value: object) -> object:
    """JSON has no NaN: a number that is not finite becomes the text `nan`, `inf` or `-inf`. URIs lose their passwords."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return redact(value)
    return value if isinstance(value, int | float | bool | None) else str(value)


def _picture(confusion_KK: np.ndarray[tuple[int, ...], np.dtype[np.int64]], names: Sequence[str], *, num_seeds: int) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.4))
    figure.subplots_adjust(left=0.26, right=0.97, bottom=0.33, top=0.92)  # a layout engine would draw everything twice
    axes = figure.add_subplot()
    share_KK = confusion_KK / np.maximum(confusion_KK.sum(axis=1, keepdims=True), 1)
    figure.colorbar(axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1), label="share of the true class")
    axes.set(xlabel="predicted class", ylabel="true class", title=f"test part, {num_seeds} seed{'s' * (num_seeds > 1)}")
    if len(names) == len(confusion_KK) <= MAX_TICKS:
        shown = [_tick(name) for name in names]
        axes.set_xticks(range(len(names)), shown, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), shown, fontsize=8)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)  # the one without a screen
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _tick(name: str) -> str:
    """Short, on one line, no mathematics, and only characters that the font has: a missing one would be a warning for each seed."""
    text = "".join(char if char.isprintable() and ord(char) < 0x250 else "?" for char in name).replace("$", r"\$")
    return text if len(text) <= 16 else text[:15] + "…"
