"""The files of a run: the whole cell as JSON, the confusion matrix as JSON and as a picture, curves, the log of a failure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmark.records import CellResult
from trackers.content import OF_THE_SELECTION
from trackers.documents import as_json
from trackers.location import redact

CELL = "cell.json"


def cell_files(cell: CellResult) -> dict[str, bytes]:
    """`cell.json` holds every field that is the cell's own, the resolved cell among them: `pull` reads the record back from it."""
    names = [item.name for item in dataclasses.fields(cell) if item.name not in OF_THE_SELECTION]
    files = {CELL: as_json({name: getattr(cell, name) for name in names})}
    if cell.confusion_KK is not None:
        files["confusion.json"] = as_json({"rows": "true class", "classes": cell.class_names, "confusion": cell.confusion_KK})
    if cell.status != "ok" and cell.log_tail:
        files["log.txt"] = redact(cell.log_tail).encode("utf-8", "backslashreplace")
    return files


def configuration_files(cells: Sequence[CellResult]) -> dict[str, bytes]:
    """`confusion.png` and `curves.png` over all seeds: a picture takes 0.1 s, so there is one a configuration and not one a cell."""
    from trackers.pictures import confusion_picture, curves_picture

    done = [cell for cell in cells if cell.status == "ok"]
    files = {}
    matrices = [cell.confusion_KK for cell in done if cell.confusion_KK is not None]
    if matrices and len({len(matrix) for matrix in matrices}) == 1:
        files["confusion.png"] = confusion_picture(matrices, done[0].class_names)
    if any(cell.curve for cell in done):
        files["curves.png"] = curves_picture(done)
    return files
