"""Write a report's folder so that a kill at any moment leaves a readable one: each file is replaced whole, the page last."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmark.errors import UserError
from benchmark.records import SuiteResults
from benchmark.summary import summarize
from reports.drawing import style, svg_and_png
from reports.figures import build_figures
from reports.page import render
from reports.table import csv_text, latex_text, markdown_text
from reports.tables import build_tables

PAGE = "index.html"
MARK = '<meta name="generator" content="skewbench report">'
"""Stands in every page that we write, so that a folder of ours is known from a user's."""
STAMP = ".made-of"
"""The command line's note beside a finished report."""
_BEGUN = f'<!DOCTYPE html><html lang="en"><head>{MARK}<title>Unfinished</title></head><body>This report is being written.</body></html>'
OWN = {"tables": (".csv", ".md", ".tex"), "figures": (".svg", ".png")}
"""The subfolders that belong to the report and what it writes there; nothing else in the folder is touched."""


def write_report(results: SuiteResults, folder: Path) -> Path:
    """Write `index.html`, `tables/` and `figures/` into the folder, replacing an older report; return the page's path.

    Raises UserError for a folder that holds something else than a report.
    """
    check_is_ours(folder)
    files = build_files(results)
    for name in ("", *OWN):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if not (folder / PAGE).exists():
        (folder / PAGE).write_text(_BEGUN)  # a kill from here on leaves a folder that is known as ours
    _remove_abandoned(folder)
    waiting = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        _replace(files, folder, waiting)
    finally:
        shutil.rmtree(waiting)
    _remove_stale(folder, set(files))
    return folder / PAGE


def check_is_ours(folder: Path) -> None:
    """Raise UserError unless the folder is absent, empty, or holds an earlier report."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"cannot write a report into {folder}: it is a file. Name a new or empty folder.")
    if not any(folder.iterdir()) or (folder / STAMP).is_file() or _is_our_page(folder / PAGE):
        return
    found = ", ".join(sorted(file.name for file in folder.iterdir())[:3])
    raise UserError(
        f"cannot write a report into {folder}: the folder holds other files ({found}, ...) and no earlier report. "
        "Nothing was written. Name a new or empty folder, or one that holds a report."
    )


def _is_our_page(page: Path) -> bool:
    if not page.is_file():
        return False
    with page.open("rb") as file:
        return MARK.encode() in file.read(2000)


def build_files(results: SuiteResults) -> dict[str, bytes]:
    """Every file by its path in the folder, the page last. The same results give the same bytes."""
    summary = summarize(results)
    tables = build_tables(results, summary)
    files: dict[str, bytes] = {}
    for table in tables.values():
        texts = {"csv": csv_text(table), "md": markdown_text(table), "tex": latex_text(table)}
        files |= {f"tables/{table.name}.{ending}": _encoded(text) for ending, text in texts.items()}
    with style():
        drawings = build_figures(results, summary)
        for drawing in drawings:
            files |= {f"figures/{drawing.name}.{ending}": data for ending, data in svg_and_png(drawing.figure).items()}
    return files | {PAGE: _encoded(render(results, summary, tables=tables, drawings=drawings))}


def _encoded(text: str) -> bytes:
    """UTF-8; half characters, as a damaged file name may hold, become question marks."""
    return text.encode("utf-8", errors="replace")


def _replace(files: Mapping[str, bytes], folder: Path, waiting: Path) -> None:
    for number, data in enumerate(files.values()):
        (waiting / str(number)).write_bytes(data)
    for number, name in enumerate(files):
        os.replace(waiting / str(number), folder / name)


def _remove_stale(folder: Path, current: set[str]) -> None:
    """Remove the figures and tables that the new report no longer has."""
    for part, endings in OWN.items():
        for file in (folder / part).iterdir():
            if file.suffix in endings and f"{part}/{file.name}" not in current:
                file.unlink()


def _remove_abandoned(folder: Path) -> None:
    """Remove what writers that were killed more than an hour ago left waiting."""
    for left in folder.glob(".writing-*"):
        if time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left)
