"""A table and its three written forms: CSV with raw values, Markdown and LaTeX as a reader sees them. Every text is escaped."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

SIGNS = {"leads": "‡", "tied": "†"}
"""What stands behind a value that is the best mean but not significantly ahead, and behind those that it is not told apart from."""
Value = str | int | float | None
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "–": "--",
    "·": r"$\cdot$",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
    "…": r"\ldots{}",
    "ρ": r"$\rho$",
    "μ": r"$\mu$",
    "Δ": r"$\Delta$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "▾": r"$\bigtriangledown$",
    "“": "``",
    "”": "''",
    "✓": "yes",
    "✗": "no",
    **{char: f"\\{char}" for char in "_&%$#{}"},
}
_LATEX_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))
_NOT_LATIN = re.compile(r"[\x00-\x08\u0180-\U0010ffff]")
"""What the T1 encoding does not have (Latin Extended-A it has)."""
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&$])")


@dataclass(frozen=True)
class Column:
    """A heading; `unit` is shown beside it, and stands in the CSV header too."""

    name: str
    unit: str = ""
    numeric: bool = False
    prose: bool = False
    """True where a cell holds sentences: it is wrapped, also in LaTeX."""

    @property
    def heading(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


@dataclass(frozen=True)
class Shown:
    """A value as it is read: its text, what it sorts by, and whether it stands out."""

    text: str
    sort: Value = None
    mark: str = ""
    """`best`, `leads`, `tied` (benchmark.summary.Standing), a verdict, or nothing."""


@dataclass(frozen=True)
class Table:
    """What is read (`columns`, `rows`) and, one observation a row, what is computed with (`tidy_columns`, `tidy_rows`)."""

    block: ClassVar[str] = "table"
    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Shown, ...], ...]
    tidy_columns: tuple[Column, ...]
    tidy_rows: tuple[tuple[Value, ...], ...]
    total: int = 0
    """How many rows there would be to read, where `rows` holds only the first of them."""

    @property
    def count(self) -> int:
        return max(self.total, len(self.rows))


def number(value: float | None, places: int = 3) -> Shown:
    """A number with so many decimals; a dash for none and NaN."""
    if value is None or math.isnan(value):
        return Shown("–", None)
    return Shown(f"{value:.{places}f}".replace("-", "−"), value)


def csv_text(table: Table) -> str:
    """RFC 4180 with `\\n`; NaN and None are empty, numbers in Python's shortest exact form."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.heading for column in table.tidy_columns])
    writer.writerows([[_raw(value) for value in row] for row in table.tidy_rows])
    return buffer.getvalue()


def _raw(value: Value) -> str | int | float:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value


def markdown_text(table: Table) -> str:
    """A GitHub table under its caption; the best in bold."""
    lines = [[escape_markdown(column.heading) for column in table.columns]]
    lines.append(["---:" if column.numeric else "---" for column in table.columns])
    lines += [[_markdown_cell(shown) for shown in row] for row in table.rows]
    return f"{escape_markdown(table.caption)}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_cell(shown: Shown) -> str:
    text = escape_markdown(shown.text)
    return f"**{text}**" if shown.mark == "best" else text + (f" {SIGNS[shown.mark]}" if shown.mark in SIGNS else "")


def latex_text(table: Table) -> str:
    """A booktabs table (`\\usepackage{booktabs}`); the best in bold."""
    layout = _latex_layout(table.columns)
    heading = " & ".join(escape_latex(column.heading) for column in table.columns)
    lines = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    start = ["\\begin{table}", "\\centering", *_latex_size(len(table.columns))]
    start += [f"\\caption{{{escape_latex(table.caption)}}}", f"\\label{{tab:{table.name}}}"]
    start += [f"\\begin{{tabular}}{{{layout}}}", "\\toprule", f"{heading} \\\\", "\\midrule"]
    return "\n".join([*start, *lines, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def _latex_size(columns: int) -> list[str]:
    """Wide tables in smaller letters."""
    return [r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"] if columns > 7 else [r"\footnotesize"] if columns > 4 else []


def _latex_layout(columns: Sequence[Column]) -> str:
    """Columns of prose share six tenths of the line's width."""
    wrapped = f"p{{{0.6 / max(1, sum(column.prose for column in columns)):.2f}\\linewidth}}"
    return "".join("r" if column.numeric else wrapped if column.prose else "l" for column in columns)


def _latex_cell(shown: Shown) -> str:
    text = escape_latex(shown.text)
    text = f"{{{text}}}" if text.startswith(("[", "*")) else text  # after `\\` they would be read as its options
    return f"\\textbf{{{text}}}" if shown.mark == "best" else text + (_LATEX[SIGNS[shown.mark]] if shown.mark in SIGNS else "")


def escape_latex(text: str) -> str:
    """Text as pdflatex prints it; line breaks become spaces, letters that it has no font for question marks."""
    escaped = _LATEX_SPECIAL.sub(lambda found: _LATEX[found[0]], " ".join(text.split()))
    return _NOT_LATIN.sub("?", escaped)


def escape_markdown(text: str) -> str:
    """Text as GitHub's Markdown prints it inside a table; line breaks become spaces."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))
