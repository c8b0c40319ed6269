"""The page: sections rendered as HTML with every text escaped; styles, scripts and the numbers of the figures are part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.answer import answer
from reports import claims
from reports.charts import DARK_PALETTE, DASHES, MARKERS, PALETTE, Chart
from reports.drawing import Picture
from reports.provenance import when
from reports.section import Report, Section

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 500
"""Longest table on the page; the files hold all of it."""
KINDS = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}


@dataclass(frozen=True)
class Head:
    """What stands above the sections."""

    suite: str
    title: str
    sentences: tuple[str, ...]
    when: str = ""


@dataclass(frozen=True)
class Page:
    """Everything that the template reads."""

    head: Head
    sections: Sequence[Section]
    pictures: Mapping[str, Picture]
    files: Mapping[str, Sequence[str]]
    """The endings of the files that each table has."""
    charts: Markup
    """The numbers of all charts, once, as JSON; empty where nothing is to be interactive."""
    signs: Mapping[str, str]
    """What stands before a verdict, by the mark of its cell."""
    whole: Sequence[str]
    """Files that hold the whole report in another format."""
    max_rows: int = MAX_ROWS

    def links(self, table: str) -> list[tuple[str, str]]:
        """Words and places of a table's files."""
        return [(KINDS[ending], f"tables/{table}.{ending}") for ending in self.files.get(table, ())]


def head_of(report: Report) -> Head:
    """The suite's question and its answer."""
    results = report.results
    return Head(results.name, results.question or results.name, answer(results, report.summary), when(results.cells))


def render(
    head: Head, sections: Sequence[Section], pictures: Mapping[str, Picture], files: Mapping[str, Sequence[str]],
    *, interactive: bool = True, whole: Sequence[str] = (),
) -> str:  # fmt: skip
    """The whole page as HTML; figures are beside it in `figures/`, Plotly in `plotly.min.js`."""
    page = Page(
        head=head,
        sections=sections,
        pictures=pictures,
        files=files,
        charts=_charts(sections) if interactive else Markup(""),
        signs={claims.mark(verdict): sign for verdict, sign in claims.VERDICTS.items()},
        whole=whole,
    )
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(page=page)


def _charts(sections: Sequence[Section]) -> Markup:
    """JSON that no text can leave: `<` and `&` are written as escapes, which JSON reads as the same characters."""
    drawings = [drawing for section in sections for drawing in section.drawings]
    charts = {drawing.name: drawing.picture.document() for drawing in drawings if isinstance(drawing.picture, Chart)}
    if not charts:
        return Markup("")
    looks: dict[str, Any] = {"light": PALETTE, "dark": DARK_PALETTE, "markers": MARKERS, "dashes": DASHES}
    text = json.dumps({"looks": looks, "charts": charts}, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026").replace(">", "\\u003e"))
