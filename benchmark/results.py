"""Results of cells from the ledger: the one place where stage rows become what reports and trackers read."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.evaluate import metric_infos, score
from benchmark.identity import canonical, digest
from benchmark.ledger import Ledger, StageRow
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell
from benchmark.records import CellResult, SuiteResults
from benchmark.stages import CellStages

if TYPE_CHECKING:
    from benchmark.spec import Suite


def unfinished(suite: str, planned: PlannedCell) -> CellResult:
    """A cell without a result: not run yet, or skipped by a rule."""
    if planned.work is not None:
        return _base(suite, planned.work)
    config, seed = planned.cell.config, planned.cell.seed
    config_key = digest(canonical(config.doc))  # no data fingerprint: the data of a skipped cell is never looked at
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
    rows = {stage.op: row for stage in work.last.chain if (row := ledger.stage(stage.key)) is not None}
    last = rows[work.last.op]
    scores = score(ledger.arrays(last), metrics, work.class_names, work.class_counts)
    return dataclasses.replace(
        _base(suite, work),
        status="ok",
        metrics=scores.metrics,
        confusion_KK=scores.confusion_KK,
        curve=tuple((int(step), float(loss)) for step, loss in rows["train"].facts.get("curve", ())),
        profile=_profile(rows),
        context=rows["train"].context,
        started=min(row.started for row in rows.values()),
        ended=max(row.ended for row in rows.values()),
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
    reason = f"error ({type(error).__name__}) in scoring: {error}"
    return dataclasses.replace(_base(suite, work), status="failed", reason=reason, log_tail=tail)


def _profile(rows: Mapping[str, StageRow]) -> dict[str, float]:
    """Seconds and CPU seconds per stage, the largest memory peaks, and the training's throughput and size."""
    found: dict[str, float] = {}
    for op, row in rows.items():
        found[f"seconds.{op}"] = row.profile["seconds"]
        found[f"cpu_seconds.{op}"] = row.profile["cpu_seconds"]
    for name in ("peak_host_mib", "peak_device_mib", "peak_device_reserved_mib"):
        peaks = [row.profile[name] for row in rows.values() if name in row.profile]
        found |= {name: max(peaks)} if peaks else {}
    found["images_per_second"] = rows["train"].profile["images_per_second"]
    found["parameters"] = float(rows["train"].facts["parameters"])
    return found


def suite_results(suite: Suite, plan: Plan, ledger: Ledger, *, command: str) -> SuiteResults:
    """All cells of a plan in its order, with what the ledger knows of each."""
    recorded = ledger.cells(suite.name)
    trained = Counter(planned.work.last.chain[0].key for planned in plan.cells if planned.work)
    cells = []
    for planned in plan.cells:
        found = recorded.get(planned.work.key) if planned.work else None
        found = found or unfinished(suite.name, planned)
        shared = trained[planned.work.last.chain[0].key] if planned.work else 1
        cells.append(dataclasses.replace(found, shared_with=shared))
    return SuiteResults(
        suite.name,
        suite.question,
        tuple(cells),
        metric_infos(suite.metrics),
        suite.show_per_class,
        suite.baseline,
        suite.text,
        command,
    )
