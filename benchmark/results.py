"""Results of cells from the ledger: the one place where stage rows become what reports and trackers read."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.arrays import DamagedFile
from benchmark.evaluate import metric_infos, score, scoring_key
from benchmark.identity import canonical, digest
from benchmark.ledger import Ledger, StageRow
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell
from benchmark.records import CellResult, SuiteResults
from benchmark.stages import CellStages

if TYPE_CHECKING:
    from benchmark.spec import Suite

SCORING_FAILED = "error (scoring)"
"""How the reason of a cell begins that a metric could not score."""


def unfinished(suite: str, planned: PlannedCell) -> CellResult:
    """A cell without a result: not run yet, or skipped by a rule."""
    if planned.work is not None:
        return _base(suite, planned.work)
    config, seed = planned.cell.config, planned.cell.seed
    config_key = digest(canonical(config.science))  # no data fingerprint: the data of a skipped cell is never looked at
    return CellResult(suite, digest(f"{config_key} {seed}"), config_key, config.attributes, seed, "skipped", planned.reason)


def _base(suite: str, work: CellStages) -> CellResult:
    return CellResult(
        suite,
        work.key,
        work.config_key,
        work.cell.config.attributes,
        work.cell.seed,
        "missing",
        class_names=work.class_names,
        class_counts=work.class_counts,
        sampled_counts=work.sampled_counts,
        resolved=work.resolved,
        code=work.last.all_code,
    )


def finished(suite: str, work: CellStages, ledger: Ledger, metrics: Sequence[Metric]) -> CellResult:
    """The result of a cell whose last stage is done. DamagedFile if its predictions are not what was written."""
    rows = [ledger.stage(stage.key) for stage in work.last.chain]
    if None in rows:
        raise DamagedFile(f"a stage of cell {work.key} is gone")
    found = [row for row in rows if row is not None]
    train, last = found[0], found[-1]
    scores = score(ledger.arrays(last), metrics, work.class_names, work.class_counts)
    return dataclasses.replace(
        _base(suite, work),
        status="ok",
        metrics=scores.metrics,
        confusion_KK=scores.confusion_KK,
        curve=tuple((int(step), float(loss)) for step, loss in train.facts.get("curve", ())),
        profile=_profile(found),
        context=train.context,
        started=min(row.started for row in found),
        ended=max(row.ended for row in found),
    )


def failed(suite: str, work: CellStages, row: StageRow) -> CellResult:
    """The result of a cell one of whose stages failed: `failed` where its own method asked for the stage, else `blocked`."""
    reason = f"{row.kind}: {row.message}"
    own = row.owner == work.cell.config.method.name
    return dataclasses.replace(
        _base(suite, work),
        status="failed" if own else "blocked",
        reason=reason if own else f"needs the {row.op} stage of '{row.owner}', which failed ({reason})",
        log_tail=row.log_tail,
        context=row.context,
        started=row.started,
        ended=row.ended,
    )


def unscored(suite: str, work: CellStages, error: Exception) -> CellResult:
    """The result of a cell whose predictions are there and which a metric could not score."""
    tail = "".join(traceback.format_exception(error))[-4000:]
    reason = f"{SCORING_FAILED}: {type(error).__name__}: {error}"
    return dataclasses.replace(_base(suite, work), status="failed", reason=reason, log_tail=tail)


def _profile(rows: Sequence[StageRow]) -> dict[str, float]:
    """Seconds and CPU seconds per operation, the largest memory peaks, and the training's throughput and size."""
    found: Counter[str] = Counter()
    for row in rows:
        found[f"seconds.{row.op}"] += row.profile["seconds"]  # type: ignore[assignment]  # typeshed has counters of whole numbers only
        found[f"cpu_seconds.{row.op}"] += row.profile["cpu_seconds"]  # type: ignore[assignment]
    peaks = {
        name: max(row.profile[name] for row in rows if name in row.profile)
        for name in ("peak_host_mib", "peak_device_mib", "peak_device_reserved_mib")
        if any(name in row.profile for row in rows)
    }
    train = rows[0]
    size = {"images_per_second": train.profile["images_per_second"], "parameters": float(train.facts["parameters"])}
    return {**found, **peaks, **size}


def suite_results(suite: Suite, plan: Plan, ledger: Ledger | None, *, command: str) -> SuiteResults:
    """All cells of a plan in its order, with what the ledger knows of each, scored by the suite's metrics as they are now."""
    recorded = ledger.cells(suite.name) if ledger else {}
    scored = ledger.scored(suite.name) if ledger else {}
    scoring = scoring_key(suite.metrics)
    trained = Counter(planned.work.last.chain[0].key for planned in plan.cells if planned.work)
    cells = []
    for planned in plan.cells:
        found = recorded.get(planned.work.key) if planned.work else None
        if found is None:
            found = unfinished(suite.name, planned)
        elif ledger and planned.work and planned.state == "done" and scored[found.key].scoring != scoring:
            found = _scored_again(suite, planned.work, ledger)
        shared = trained[planned.work.last.chain[0].key] if planned.work else 1
        cells.append(dataclasses.replace(found, shared_with=shared))
    infos = metric_infos(suite.metrics)
    return SuiteResults(suite.name, suite.question, tuple(cells), infos, suite.show_per_class, suite.baseline, suite.text, command)


def _scored_again(suite: Suite, work: CellStages, ledger: Ledger) -> CellResult:
    """By other metrics than those it was recorded with: the predictions are there."""
    try:
        return finished(suite.name, work, ledger, suite.metrics)
    except DamagedFile as damage:
        return dataclasses.replace(_base(suite.name, work), reason=f"damaged: {damage}")
