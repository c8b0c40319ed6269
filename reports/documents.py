"""The whole report as one Markdown file (GitHub's) and as one LaTeX file (booktabs): the same sections as the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmark.answer import answer
from reports.charts import Drawing
from reports.drawing import Picture
from reports.section import Block, Code, Counts, Facts, Fold, Heading, Items, Report, Section, Text
from reports.table import Table, escape_latex, escape_markdown, latex_text, markdown_text

MAX_ROWS = 200
"""Longest table in a document; the CSV files hold all."""
MAX_LATEX_ROWS = 45
"""Longest table on a printed page."""
PREAMBLE = r"""\documentclass[a4paper,10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage{textcomp}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\sloppy
"""


def markdown(report: Report, sections: Sequence[Section]) -> str:
    """`report.md`: tables, and the pictures beside it."""
    results = report.results
    lines = [f"# {escape_markdown(results.question or results.name)}", f"Suite **{escape_markdown(results.name)}**"]
    lines += [escape_markdown(sentence) for sentence in answer(results, report.summary)]
    for section in sections:
        lines += [f"## {escape_markdown(section.heading)}", *_markdown_blocks(section.blocks)]
    return "\n\n".join(line.rstrip("\n") for line in lines) + "\n"


def _markdown_blocks(blocks: Sequence[Block]) -> list[str]:
    return [text for block in blocks for text in MARKDOWN[block.block](block)]


def _text(item: Text) -> str:
    lead = f"**{escape_markdown(item.lead)}**" if item.lead else ""
    glue = " " if item.lead and item.text[:1] == " " else ""
    code = f" `{item.code.replace('`', chr(39))}`" if item.code else ""
    return f"{lead}{glue}{escape_markdown(item.text)}{code}"


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _markdown_table(table: Table) -> list[str]:
    if table.count > MAX_ROWS:
        return [f"{escape_markdown(table.caption)} {table.count} rows: [CSV](tables/{table.name}.csv)."]
    return [markdown_text(table)] if table.rows else [escape_markdown(table.caption)]


def _markdown_fold(fold: Fold) -> list[str]:
    lead = f"{fold.lead}" if fold.lead else ""
    inner = _markdown_blocks(fold.blocks)
    return [f"<details><summary>{_html(lead + fold.summary)}</summary>", *inner, "</details>"]


def _html(text: str) -> str:
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


MARKDOWN: Mapping[str, Callable[..., list[str]]] = {
    Text.block: lambda item: [_text(item)],
    Items.block: lambda block: ["\n".join(f"- {_text(item)}" for item in block.items)],
    Counts.block: lambda block: [", ".join(f"**{count}** {name}" for name, count in block.counts.items())],
    Facts.block: lambda block: ["\n".join(f"- {escape_markdown(f.name)}: {escape_markdown('; '.join(f.values))}" for f in block.facts)],
    Code.block: lambda block: [_fenced(block.text)],
    Heading.block: lambda block: [f"### {escape_markdown(block.text)}"],
    Fold.block: _markdown_fold,
    Table.block: _markdown_table,
    Drawing.block: lambda drawing: [f"![{escape_markdown(drawing.title)}](figures/{drawing.name}.svg)", escape_markdown(drawing.caption)],
}


def latex(report: Report, sections: Sequence[Section], pictures: Mapping[str, Picture]) -> str:
    """`report.tex`: compiles with pdflatex; figures are in it where they were written as PDF (`--figures svg,pdf`)."""
    results = report.results
    lines = [PREAMBLE, r"\begin{document}", rf"\section*{{{escape_latex(results.question or results.name)}}}"]
    lines += [escape_latex(sentence) + "\n" for sentence in answer(results, report.summary)]
    for section in sections:
        lines.append(rf"\section*{{{escape_latex(section.heading)}}}")
        lines += [text for block in section.blocks for text in _latex_block(block, pictures)]
    return "\n".join([*lines, r"\end{document}", ""])


def _latex_block(block: Block, pictures: Mapping[str, Picture]) -> list[str]:
    match block:
        case Text():
            lead = rf"\textbf{{{escape_latex(block.lead)}}} " if block.lead else ""
            return [f"{lead}{escape_latex(block.text)}" + (rf" \texttt{{{escape_latex(block.code)}}}" if block.code else "") + "\n"]
        case Items():
            return [text for item in block.items for text in _latex_block(item, pictures)]
        case Counts():
            return [", ".join(f"{count} {escape_latex(name)}" for name, count in block.counts.items()) + "\n"]
        case Heading():
            return [rf"\subsection*{{{escape_latex(block.text)}}}"]
        case Table():
            return _latex_table(block)
        case Drawing():
            return _latex_figure(block, pictures[block.name])
        case _:
            return []  # logs, suites and fingerprints are for the screen


def _latex_table(table: Table) -> list[str]:
    if not table.rows:
        return [escape_latex(table.caption) + "\n"]
    if table.count > MAX_LATEX_ROWS:
        return [f"{escape_latex(table.caption)} {table.count} rows: see the files of the table {escape_latex(table.name)}.\n"]
    return [latex_text(table), r"\clearpage" if len(table.rows) > MAX_LATEX_ROWS // 2 else ""]


def _latex_figure(drawing: Drawing, picture: Picture) -> list[str]:
    if "pdf" not in picture.files:
        return []
    shown = rf"\includegraphics[width=\linewidth,height=0.85\textheight,keepaspectratio]{{figures/{drawing.name}.pdf}}"
    return [r"\begin{figure}[htbp]", r"\centering", shown, rf"\caption{{{escape_latex(drawing.caption)}}}", r"\end{figure}"]
