"""The parts of a report, in the order in which a reader needs them.

To add a part: write one file in `reports/` with a function `part(report: Report) -> Section | None` and name it in PARTS, at the place
where a reader would look for it. That is all: page, Markdown, LaTeX, CSV files, pictures, links and navigation follow from the section.

    def part(report: Report) -> Section | None:
        if not report.measured:                      # None: nothing to say, the section is left out
            return None
        return Section("tuning", "Tuning", [Text("Two sentences that say what is seen."), table, drawing])

`report.results` are the cells as they came, `report.summary` what was computed of them once (`benchmark.summary`); compute statistics
there or in `benchmark.inference`, never here. A section holds blocks (`reports.section`): `Text`, `Items`, `Facts`, `Counts`,
`Code`, `Fold`, tables (`reports.table.Table`: what is read, and the tidy rows of its CSV file; its `name` is the file's) and drawings
(`reports.charts.Drawing`: a `Chart` is drawn as SVG and made interactive; a matplotlib figure, or a function that makes one, is drawn as
it is). All texts are plain: they are escaped where they are rendered. Names of sections, tables and drawings are lower case and unique
in the report.
"""

from __future__ import annotations

from collections.abc import Iterator

from reports import (
    cells,
    claims,
    classes,
    comparison,
    cost,
    curves,
    differences,
    front,
    pareto,
    provenance,
    ranks,
    references,
    study_figures,
    timeline,
)  # fmt: skip
from reports.section import Part, Report, Section

PARTS: tuple[Part, ...] = (
    front.part,
    claims.part,
    comparison.part,
    differences.part,
    ranks.part,
    study_figures.part,
    pareto.part,
    classes.counts_part,
    classes.per_class_part,
    classes.confusion_part,
    curves.part,
    references.part,
    timeline.part,
    cost.part,
    provenance.part,
    cells.part,
    cells.suite_part,
)


def sections(report: Report) -> Iterator[Section]:
    """What the parts have to say, each as it is made."""
    made = (part(report) for part in PARTS)
    return (section for section in made if section is not None)
