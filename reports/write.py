"""Write a report's folder so that a kill at any moment leaves a readable one: each file is replaced whole, the page last."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.records import SuiteResults
from benchmark.summary import summarize
from reports.charts import Chart
from reports.documents import latex, markdown
from reports.drawing import Picture, draw
from reports.page import Head, head_of, render
from reports.painting import painter
from reports.parts import sections
from reports.section import Report, Section
from reports.table import Table, csv_text, latex_text, markdown_text

PAGE = "index.html"
MARK = '<meta name="generator" content="skewbench report">'
"""Stands in every page that we write, so that a folder of ours is known from a user's."""
STAMP = ".made-of"
"""A note beside a finished report: what it was made of."""
PLOTLY = "plotly.min.js"
DOCUMENTS = {"md": "report.md", "tex": "report.tex"}
_BEGUN = f'<!DOCTYPE html><html lang="en"><head>{MARK}<title>Unfinished</title></head><body>This report is being written.</body></html>'
OWN = {"tables": (".csv", ".md", ".tex"), "figures": (".svg", ".png", ".pdf")}
"""The subfolders that belong to the report and what it writes there; nothing else in the folder is touched."""
MAX_TYPESET_ROWS = 1000
"""Longer tables are CSV only: nobody pastes them."""


@dataclass(frozen=True)
class Formats:
    """What a report consists of."""

    page: bool = True
    tables: tuple[str, ...] = ("csv", "md", "tex")
    """Endings; with `md` and `tex` the whole report is written as one file too."""
    figures: tuple[str, ...] = ("svg",)
    """Endings: svg, png, pdf."""


def write_report(results: SuiteResults, folder: Path, formats: Formats | None = None) -> Path:
    """Write page, tables and figures into the folder, replacing an older report; return the path of what is to be read first.

    Raises UserError for a folder that holds something else than a report.
    """
    check_is_ours(folder)
    files = build_files(results, formats)
    put_files(files, folder)
    return folder / next(name for name in (PAGE, *DOCUMENTS.values(), "tables") if name in files or name == "tables")


def put_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Put a report's files (by path, the page last) into a folder of ours, so that a kill at any moment leaves a readable one."""
    check_is_ours(folder)
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


def build_files(results: SuiteResults, formats: Formats | None = None) -> dict[str, bytes]:
    """Every file by its path in the folder, the page last. The same results give the same bytes."""
    formats = formats or Formats()
    with painter(_wanted(formats), len(results.cells)) as painting:
        report = Report(results, summarize(results))
        made = []
        for section in sections(report):
            made.append(section)
            for drawing in section.drawings:
                painting.add(drawing)
        texts = _table_texts(made, formats)
        pictures = painting.pictures()
    documents = {DOCUMENTS[e]: _encoded(_document(e, report, made, pictures)) for e in formats.tables if e in DOCUMENTS}
    return _files(head_of(report), made, formats, texts, pictures, documents)


def page_files(head: Head, made: Sequence[Section], formats: Formats) -> dict[str, bytes]:
    """Tables, pictures and, if wanted, the page of some sections."""
    pictures = {drawing.name: draw(drawing, _wanted(formats)) for section in made for drawing in section.drawings}
    return _files(head, made, formats, _table_texts(made, formats), pictures, {})


def _files(
    head: Head, made: Sequence[Section], formats: Formats, texts: Mapping[str, Mapping[str, str]], pictures: Mapping[str, Picture],
    documents: Mapping[str, bytes],
) -> dict[str, bytes]:  # fmt: skip
    """`documents`: the whole in other formats."""
    files = {f"tables/{name}.{ending}": _encoded(text) for name, found in texts.items() for ending, text in found.items()}
    files |= {f"figures/{name}.{ending}": data for name, picture in pictures.items() for ending, data in picture.files.items()}
    files |= documents
    if not formats.page:
        return files
    plotly = _plotly() if any(isinstance(d.picture, Chart) for section in made for d in section.drawings) else {}
    endings = {name: list(found) for name, found in texts.items()}
    page = render(head, made, pictures, endings, interactive=bool(plotly), whole=list(documents))
    return files | plotly | {PAGE: _encoded(page)}


def _texts(table: Table, endings: Sequence[str]) -> dict[str, str]:
    writers = {"csv": csv_text, "md": markdown_text, "tex": latex_text}
    return {ending: writers[ending](table) for ending in endings if ending == "csv" or table.count <= MAX_TYPESET_ROWS}


def _table_texts(made: Sequence[Section], formats: Formats) -> dict[str, dict[str, str]]:
    return {table.name: _texts(table, formats.tables) for section in made for table in section.tables}


def _wanted(formats: Formats) -> tuple[str, ...]:
    """Forms of the pictures: they are for the documents that show them."""
    return formats.figures if formats.page or set(formats.tables) & set(DOCUMENTS) else ()


def _document(ending: str, report: Report, made: Sequence[Section], pictures: Mapping[str, Picture]) -> str:
    return markdown(report, made) if ending == "md" else latex(report, made, pictures)


def _plotly() -> dict[str, bytes]:
    """The library as it is installed; without it the static pictures stand alone."""
    found = importlib.util.find_spec("plotly")
    roots = (found.submodule_search_locations if found else None) or []
    places = [place for root in roots if (place := Path(root, "package_data", PLOTLY)).is_file()]
    return {PLOTLY: places[0].read_bytes()} if places else {}


def _encoded(text: str) -> bytes:
    """UTF-8; half characters, as a damaged file name may hold, become question marks."""
    return text.encode("utf-8", errors="replace")


def _replace(files: Mapping[str, bytes], folder: Path, waiting: Path) -> None:
    for number, data in enumerate(files.values()):
        (waiting / str(number)).write_bytes(data)
    for number, name in enumerate(files):
        os.replace(waiting / str(number), folder / name)


def _remove_stale(folder: Path, current: set[str]) -> None:
    """Remove the files that an earlier report had and this one has not."""
    if PAGE not in current:
        (folder / STAMP).touch()  # still known as ours
    for name in (PAGE, PLOTLY, *DOCUMENTS.values()):
        if name not in current:
            (folder / name).unlink(missing_ok=True)
    for part, endings in OWN.items():
        for file in (folder / part).iterdir():
            if file.suffix in endings and f"{part}/{file.name}" not in current:
                file.unlink()


def _remove_abandoned(folder: Path) -> None:
    """Remove what writers that were killed more than an hour ago left waiting."""
    for left in folder.glob(".writing-*"):
        if time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left)
