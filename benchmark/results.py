"""Results of cells from the ledger: the one place where stage rows become what reports and trackers read."""

from __future__ import annotations

import dataclasses
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.arrays import DamagedFile
from benchmark.claims import Claim, concerned, judge
from benchmark.evaluate import PARTS, metric_infos, score, scoring_key
from benchmark.history import derived
from benchmark.identity import canonical, digest
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.plan import Plan, PlannedCell
from benchmark.points import OF_THE_CODE
from benchmark.records import CellResult, SuiteResults
from benchmark.references import compare
from benchmark.rows import StageRow
from benchmark.selection import chosen
from benchmark.stages import CellStages

if TYPE_CHECKING:
    from benchmark.spec import Suite

SCORING_FAILED = "error (scoring)"
"""How the reason of a cell begins that a metric could not score."""


SOLO, PLANNED, SPENT = "profile", "planned", "spent"
"""Kinds of notes in the ledger: a cell measured alone; what a run of a suite was expected to take, and what it took."""


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


def finished(suite: str, work: CellStages, ledger: Ledger, metrics: Sequence[Metric], *, parts: Sequence[str] = PARTS) -> CellResult:
    """The result of a cell whose last stage is done, scored on these parts. DamagedFile if its predictions are not what was written."""
    rows = [ledger.stage(stage.key) for stage in work.last.chain]
    if None in rows:
        raise DamagedFile(f"a stage of cell {work.key} is gone")
    found = [row for row in rows if row is not None]
    train, last = found[0], found[-1]
    history = _history(found)
    scores = score(ledger.arrays(last), metrics, work.class_names, work.class_counts, parts=parts)
    return dataclasses.replace(
        _base(suite, work),
        status="ok",
        metrics={**scores.metrics, **derived(history)},
        confusion_KK=scores.confusion_KK or None,
        curve=tuple((int(step), float(loss)) for step, loss in train.facts.get("curve", ())),
        history=history,
        profile=_profile(found),
        # what trained it may be older than what made the result of it
        context={**train.context, **{name: last.context[name] for name in OF_THE_CODE if name in last.context}},
        started=min(row.started for row in found),
        ended=max(row.ended for row in found),
    )


def _history(rows: Sequence[StageRow]) -> dict[str, tuple[tuple[int, float], ...]]:
    """Of a cell that ends with the network as it was trained; where something follows, the training's history is not the cell's."""
    if [row.op for row in rows] != ["train", "predict"]:
        return {}
    return {name: tuple((int(step), float(value)) for step, value in points) for name, points in rows[0].facts.get("history", {}).items()}


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


LARGEST = ("peak_host_mib", "own_host_mib", "peak_device_mib", "peak_device_reserved_mib", "device_used_mib", "contended", "throttled")
SUMMED = ("seconds", "cpu_seconds", "energy_j")


def _profile(rows: Sequence[StageRow]) -> dict[str, float]:
    """Seconds, CPU seconds and joules per operation, the largest memory peaks and flags, and the network's speed and size.

    `seconds.monitor` is the part of `seconds.train` that was spent on looking on; `base_seconds` is what the frozen base's pass over
    `base_images` took, once for all cells that rest on it, and in no other figure.
    """
    found: dict[str, float] = {}
    for row in rows:
        for name in SUMMED:
            if name in row.profile:
                key = f"{name}.{row.op}"
                found[key] = found.get(key, 0.0) + row.profile[name]
        if "monitor_seconds" in row.profile:
            found["seconds.monitor"] = row.profile["monitor_seconds"]
    for name in LARGEST:
        values = [row.profile[name] for row in rows if name in row.profile]
        found |= {name: max(values)} if values else {}
    train = rows[0]
    found |= {name: train.profile[name] for name in ("base_seconds", "base_images") if name in train.profile}
    found["images_per_second"] = train.profile["images_per_second"]
    found["ms_per_image.train"] = 1000 / train.profile["images_per_second"]
    for row in rows:
        if row.op == "predict":
            found["inference_images_per_second"] = row.profile["images_per_second"]
    return found | {name: float(train.facts[name]) for name in ("parameters", "macs") if name in train.facts}


def suite_results(suite: Suite, plan: Plan, ledger: Ledger | None, *, command: str) -> SuiteResults:
    """All cells of a plan in its order, with what the ledger knows of each, scored by the suite's metrics as they are now."""
    recorded = ledger.cells(suite.name) if ledger else {}
    scored = ledger.scored(suite.name) if ledger else {}
    scoring = scoring_key(suite.metrics)
    trained = Counter(planned.work.last.chain[0].key for planned in plan.cells if planned.work)
    solo = _solo(plan, ledger)
    cells = []
    for planned in plan.cells:
        found = recorded.get(planned.work.key) if planned.work else None
        if found is None:
            found = unfinished(suite.name, planned)
        elif ledger and planned.work and planned.state == "done" and scored[found.key].scoring != scoring:
            found = _scored_again(suite, planned.work, ledger)
        shared = trained[planned.work.last.chain[0].key] if planned.work else 1
        cells.append(dataclasses.replace(found, shared_with=shared, solo=solo.get(found.config_key, {})))
    return _judged(suite, SuiteResults(
        suite.name, suite.question, tuple(cells), metric_infos(suite.metrics), suite.show_per_class, suite.baseline, suite.text, command,
        account=account(suite.name, ledger), select=suite.select,
    ))  # fmt: skip


def _judged(suite: Suite, results: SuiteResults) -> SuiteResults:
    """With the verdicts on the suite's claims and its references, by the first rule where runs are selected."""
    first = results.select and dataclasses.replace(results.select, by=results.select.by[:1])
    cells = chosen(dataclasses.replace(results, select=first)).cells
    claims = tuple(
        dataclasses.replace(result, about=_about(claim, cells, results.cells))
        for claim, result in zip(suite.claims, judge(suite.claims, cells, results.metrics), strict=True)
    )
    return dataclasses.replace(results, claims=claims, references=compare(suite.references, cells))


def _about(claim: Claim, cells: Sequence[CellResult], planned: Sequence[CellResult]) -> tuple[str, ...]:
    """The configurations that a claim is about, by the keys they have before any selection."""
    concerns = set(concerned(claim, {cell.config_key: cell.attributes for cell in cells if cell.status != "skipped"}))
    keys = {cell.key for cell in cells if cell.config_key in concerns}
    return tuple(dict.fromkeys(cell.config_key for cell in planned if cell.key in keys))


def _solo(plan: Plan, ledger: Ledger | None) -> dict[str, Mapping[str, float]]:
    """What `run --profile` has measured, by configuration: of cells as they are now, since a cell's key changes with its code."""
    notes = ledger.notes(SOLO) if ledger else {}
    found = {planned.work.config_key: notes.get(planned.work.key) for planned in plan.cells if planned.work and planned.work.key in notes}
    return {key: note["figures"] for key, note in found.items() if note}


def account(suite: str, ledger: Ledger | None) -> Mapping[str, Any]:
    """What the last run of a suite was expected to take and what it took: `planned` and `spent`; empty where one is not known."""
    planned, spent = ((ledger.notes(kind) if ledger else {}).get(suite) for kind in (PLANNED, SPENT))
    return {"planned": planned, "spent": spent} if planned and spent else {}


def _scored_again(suite: Suite, work: CellStages, ledger: Ledger) -> CellResult:
    """By other metrics than those it was recorded with: the predictions are there."""
    try:
        return finished(suite.name, work, ledger, suite.metrics)
    except DamagedFile as damage:
        return dataclasses.replace(_base(suite.name, work), reason=f"damaged: {damage}")
