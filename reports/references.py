"""Numbers printed in a study beside the measured ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from benchmark.evidence import ReferenceResult
from benchmark.records import SuiteResults
from benchmark.summary import Mean, shown_difference, shown_mean
from reports.printed import printed_tables
from reports.section import Block, Report, Section, Text
from reports.table import Column, Shown, Table, Value

COMPARABLE, INCOMPARABLE = "comparable", "levels not to be compared"
IN_A_FIGURE, NOT_MEASURED = "only in a figure", "not measured"


def part(report: Report) -> Section | None:
    """Published beside measured."""
    found = report.results.references
    if not found:
        return None
    blocks: list[Block] = [Text(f"{counted(found)}."), *printed_tables(found), references_table(report.results)]
    return Section("references", "Published beside measured", blocks, "References")


def counted(references: Sequence[ReferenceResult]) -> str:
    """`4 published numbers: 2 comparable, 1 with levels not to be compared, 1 only in a figure`."""
    found = Counter(standing(reference) for reference in references)
    kinds = {COMPARABLE: COMPARABLE, INCOMPARABLE: f"with {INCOMPARABLE}", NOT_MEASURED: NOT_MEASURED, IN_A_FIGURE: IN_A_FIGURE}
    words = ", ".join(f"{found[kind]} {text}" for kind, text in kinds.items() if found[kind])
    return f"{len(references)} published {'number' if len(references) == 1 else 'numbers'}: {words}"


def standing(reference: ReferenceResult) -> str:
    """How the two numbers stand to each other."""
    if reference.published is None:
        return IN_A_FIGURE
    if not math.isfinite(reference.measured):
        return NOT_MEASURED
    return COMPARABLE if reference.comparable else INCOMPARABLE


def difference(reference: ReferenceResult) -> Mean | None:
    """Measured minus published, with the interval of the measured mean; None where levels must not be compared."""
    if reference.published is None or standing(reference) != COMPARABLE:
        return None
    return Mean(reference.measured - reference.published, math.nan, reference.num, reference.half_width)


def references_table(results: SuiteResults) -> Table:
    """Published beside measured."""
    where = (Column("reference"), Column("where", prose=True), Column("metric"))
    numbers = (Column("published", numeric=True), Column("measured", numeric=True), Column("difference", numeric=True))
    tidy = ("published", "measured", "half_width", "num_seeds", "difference")
    return Table(
        name="references",
        caption="Numbers printed in the study beside the measured ones: mean over seeds ± half-width of its 95 % t interval (number of "
        "seeds). Difference: measured minus published, with the interval of the measured mean alone; none where data or recipe differ, "
        "because levels must not be compared then.",
        columns=(*where, *numbers, Column("comparison", prose=True), Column("source", prose=True)),
        rows=tuple(_shown_reference(reference) for reference in results.references),
        tidy_columns=(*where, *(Column(name, numeric=True) for name in tidy), Column("comparison"), Column("note"), Column("source")),
        tidy_rows=tuple(_tidy_reference(reference) for reference in results.references),
    )


def _shown_reference(reference: ReferenceResult) -> tuple[Shown, ...]:
    change = difference(reference)
    words = standing(reference) + (f": {reference.note}" if reference.note else "")
    return (
        *map(Shown, (reference.id, reference.where, reference.metric)),
        Shown(IN_A_FIGURE) if reference.published is None else Shown(f"{reference.published:.10g}".replace("-", "−"), reference.published),
        _measured(reference),
        Shown(shown_difference(change), change.mean if change else None),
        Shown(words),
        Shown(reference.source),
    )


def _measured(reference: ReferenceResult) -> Shown:
    if not math.isfinite(reference.measured):
        return Shown("–")
    text = shown_mean(Mean(reference.measured, math.nan, reference.num, reference.half_width))
    return Shown(text + (f" (n={reference.num})" if reference.num > 1 else ""), reference.measured)


def _tidy_reference(reference: ReferenceResult) -> tuple[Value, ...]:
    change = difference(reference)
    where = (reference.id, reference.where, reference.metric)
    numbers = (reference.published, reference.measured, reference.half_width, reference.num, change.mean if change else None)
    return (*where, *numbers, standing(reference), reference.note, reference.source)
