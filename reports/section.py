"""What a part of a report is made of: a section holds blocks in reading order, and every format renders the same blocks.

Nothing here knows HTML, Markdown or LaTeX; texts are plain and are escaped where they are rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from benchmark.records import MetricInfo, SuiteResults
from benchmark.summary import Summary
from reports.charts import Drawing
from reports.table import Table


@dataclass(frozen=True)
class Report:
    """What every part reads: results as they came, and what was computed of them once."""

    results: SuiteResults
    summary: Summary

    @property
    def main(self) -> MetricInfo | None:
        """The first metric of the suite: what methods are ordered by. None where the suite has no metric."""
        return self.results.metrics[0] if self.results.metrics else None

    @property
    def measured(self) -> bool:
        """True where a cell has finished: parts that compare have nothing to say before."""
        return bool(self.summary.coverage.ok)


@dataclass(frozen=True)
class Text:
    """A paragraph: `lead` in bold in front, `code` to be typed behind. `note` is said small, `warning` stands out."""

    block: ClassVar[str] = "text"
    text: str
    lead: str = ""
    code: str = ""
    kind: Literal["", "note", "warning"] = ""


@dataclass(frozen=True)
class Items:
    """A list of paragraphs."""

    block: ClassVar[str] = "items"
    items: Sequence[Text]
    kind: Literal["", "note"] = ""


@dataclass(frozen=True)
class Counts:
    """Numbers with a word each; those named in `bad` stand out where they are not 0."""

    block: ClassVar[str] = "counts"
    counts: Mapping[str, int]
    bad: Sequence[str] = ()


@dataclass(frozen=True)
class Fact:
    """A line of provenance: one value, or several."""

    name: str
    values: tuple[str, ...]

    @property
    def several(self) -> bool:
        return len(self.values) > 1


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    block: ClassVar[str] = "facts"
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Code:
    """Text as it is, in a typewriter's letters: a log, a suite."""

    block: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    block: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that are opened on request; printed open."""

    block: ClassVar[str] = "fold"
    summary: str
    blocks: Sequence[Block]
    lead: str = ""
    """A word in front that stands out: `failed`."""


Block = Text | Items | Counts | Facts | Code | Heading | Fold | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading. `name`: its anchor, lower case with hyphens, unique in the report."""

    name: str
    heading: str
    blocks: Sequence[Block]
    short: str = ""
    """Its name in the navigation, where the heading is too long for that."""

    def every_block(self) -> Iterator[Block]:
        """All blocks, those in folds too."""
        yield from _flat(self.blocks)

    @property
    def tables(self) -> list[Table]:
        return [block for block in self.every_block() if isinstance(block, Table)]

    @property
    def drawings(self) -> list[Drawing]:
        return [block for block in self.every_block() if isinstance(block, Drawing)]


Part = Callable[[Report], Section | None]
"""None where there is nothing to say."""


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from _flat(block.blocks)
