"""Why a cell will run or will not: which field of its identity differs from what is recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.ledger import Ledger
from benchmark.plan import Plan, PlannedCell, changed
from benchmark.records import CellResult


@dataclass(frozen=True)
class Explanation:
    """A cell's identity, its state, and the differences to the nearest recorded cell of the suite."""

    key: str
    state: str
    reason: str
    stages: tuple[tuple[str, str, str], ...]
    """(operation, key, state) from the first stage to the last."""
    code: Mapping[str, str]
    resolved: Mapping[str, Any]
    differences: tuple[tuple[str, object, object], ...]
    """(field, recorded, now); empty where the cell itself is recorded or nothing is."""

    def text(self) -> str:
        """For a person."""
        lines = [f"cell     {self.key}", f"state    {self.state}" + (f": {self.reason}" if self.reason else "")]
        lines += [f"stage    {op:8} {key}  {state}" for op, key, state in self.stages]
        if self.differences:
            lines.append("differs from the nearest recorded cell in:")
            lines += [f"  {field}: recorded {before!r}, now {after!r}" for field, before, after in self.differences]
        lines += ["identity (science):"] + [f"  {field} = {value!r}" for field, value in flat(self.resolved)]
        return "\n".join([*lines, "identity (code):"] + [f"  {name} {key}" for name, key in sorted(self.code.items())])


def explain_cell(plan: Plan, planned: PlannedCell, ledger: Ledger | None) -> Explanation:
    """Compare a cell with the ledger, if there is one, field by field."""
    assert planned.work is not None, "a skipped cell has no identity"
    work = planned.work
    rows = ledger.stages() if ledger else {}
    stages = []
    for stage in work.last.chain:
        row = rows.get(stage.key)
        state = "not computed" if row is None else row.status + ("" if row.file or row.status == "failed" else ", arrays released")
        stages.append((stage.op, stage.key, state))
    recorded = ledger.cells(plan.suite) if ledger else {}
    known = work.key in recorded
    nearest = () if known else _nearest(work.resolved, work.last.all_code, recorded)
    return Explanation(work.key, planned.state, planned.reason, tuple(stages), work.last.all_code, work.resolved, nearest)


def _nearest(
    resolved: Mapping[str, Any], code: Mapping[str, str], recorded: Mapping[str, CellResult]
) -> tuple[tuple[str, object, object], ...]:
    """The differences to the recorded cell that has the fewest."""
    found = [_differences(result, resolved, code) for result in recorded.values() if result.resolved]
    return min(found, key=len, default=())


def _differences(result: CellResult, resolved: Mapping[str, Any], code: Mapping[str, str]) -> tuple[tuple[str, object, object], ...]:
    before, after = dict(flat(result.resolved)), dict(flat(resolved))
    science = [
        (name, before.get(name), after.get(name)) for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)
    ]
    return (*science, *((f"code of {name}", result.code.get(name), code.get(name)) for name in changed(result.code, code)))


def flat(document: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """A nested document as dotted fields."""
    if isinstance(document, Mapping) and document:
        for key, value in document.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, list(document) if isinstance(document, tuple) else document
