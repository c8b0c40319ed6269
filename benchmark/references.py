"""Published numbers beside measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.evidence import ReferenceResult
from benchmark.records import CellResult
from benchmark.selectors import Condition, Selector
from benchmark.summary import mean_of, values_by_seed


@dataclass(frozen=True)
class Reference:
    """A number printed in a study, with its place."""

    id: str
    where: Selector | None
    """The cells it is about; None where no cell of ours stands for it."""
    metric: str
    value: float | None
    """None: shown in a figure only."""
    source: str
    note: str = ""
    comparable: bool = True


def compare(references: Sequence[Reference], cells: Sequence[CellResult]) -> tuple[ReferenceResult, ...]:
    """Each reference with the mean over seeds of the one configuration that it is about; without one where there are none or several."""
    return tuple(_compared(each, cells) for each in references)


def _compared(reference: Reference, cells: Sequence[CellResult]) -> ReferenceResult:
    matched = [cell for cell in cells if reference.where is not None and reference.where.matches(cell.attributes)]
    configs = {cell.config_key for cell in matched}
    note = reference.note
    if len(configs) > 1:
        note = f"{note} {len(configs)} configurations match: name more attributes.".strip()
    found = mean_of(values_by_seed(matched if len(configs) == 1 else [], reference.metric).values())
    where = ", ".join(map(_words, reference.where.conditions)) if reference.where else ""
    return ReferenceResult(
        reference.id, where, reference.metric, reference.value, reference.source, found.mean, found.half_width, found.num,
        reference.comparable, note,
    )  # fmt: skip


def _words(condition: Condition) -> str:
    values = [f"{test.operand:g}..{test.high:g}" if test.sign == ".." else f"{test.sign}{test.operand}".removeprefix("==")
              for test in condition.tests]  # fmt: skip
    return f"{condition.attribute}={'|'.join(values)}"
