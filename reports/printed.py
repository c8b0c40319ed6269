"""The tables of a study as it printed them: a row per choice of cells, a column per metric; each cell printed / measured."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from benchmark.evidence import ReferenceResult
from benchmark.summary import Mean, shown_mean
from reports.table import Column, Shown, Table

NOT_COMPARABLE = "°"
CAPTION = (
    "{source} of the study, number by number: printed / measured here (mean over seeds ± half-width of its 95 % interval); – where there "
    f"is none, {NOT_COMPARABLE} where data or recipe differ, so that levels must not be compared.{{common}}"
)


def printed_tables(references: Sequence[ReferenceResult]) -> list[Table]:
    """A table for each source of several metrics over several choices of cells, in the order in which they are first named."""
    groups: dict[str, list[ReferenceResult]] = {}
    for reference in references:
        groups.setdefault(reference.source, []).append(reference)
    laid_out = {source: group for source, group in groups.items() if len(_rows(group)) > 1 and len(_metrics(group)) > 1}
    return [_table(source, group, number) for number, (source, group) in enumerate(laid_out.items(), start=1)]


def _rows(group: Sequence[ReferenceResult]) -> list[str]:
    return list(dict.fromkeys(reference.where for reference in group))


def _metrics(group: Sequence[ReferenceResult]) -> list[str]:
    return list(dict.fromkeys(reference.metric for reference in group))


def _table(source: str, group: Sequence[ReferenceResult], number: int) -> Table:
    found = {(reference.where, reference.metric): reference for reference in group}
    names, metrics = _names(_rows(group)), _metrics(group)
    common = _common(_rows(group))
    told = f" All of {', '.join(common)}." if common else ""
    return Table(
        name=f"printed-{number}-{re.sub(r'[^a-z0-9]+', '-', source.lower())[:40]}".strip("-"),
        caption=CAPTION.format(source=source, common=told),
        columns=(Column("where", prose=True), *(Column(metric, numeric=True) for metric in metrics)),
        rows=tuple((Shown(name), *(_cell(found.get((where, metric))) for metric in metrics)) for where, name in names.items()),
        tidy_columns=(Column("where"), Column("metric"), *(Column(name, numeric=True) for name in ("published", "measured", "half_width"))),
        tidy_rows=tuple((each.where, each.metric, each.published, each.measured, each.half_width) for each in group),
    )


def _common(rows: Sequence[str]) -> list[str]:
    """What holds of every row: said once, in the caption."""
    first, *others = [row.split(", ") for row in rows]
    return [words for words in first if all(words in other for other in others)]


def _names(rows: Sequence[str]) -> dict[str, str]:
    """Each row by what it alone says."""
    common = _common(rows)
    return {row: ", ".join(words for words in row.split(", ") if words not in common) or "all" for row in rows}


def _cell(reference: ReferenceResult | None) -> Shown:
    if reference is None:
        return Shown("–")
    printed = "–" if reference.published is None else f"{reference.published:.10g}".replace("-", "−")
    measured = "–"
    if math.isfinite(reference.measured):
        measured = shown_mean(Mean(reference.measured, math.nan, reference.num, reference.half_width))
    sign = "" if reference.comparable else NOT_COMPARABLE
    return Shown(f"{printed} / {measured}{sign}", reference.published)
