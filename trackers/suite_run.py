"""The run that speaks for a suite as a whole: its file, claims with verdicts, published numbers, the environment, and what `pull` needs."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from benchmark.evidence import ClaimResult, Effect
from benchmark.records import CellResult, SuiteResults
from trackers.content import RunContent
from trackers.documents import as_json
from trackers.location import redact
from trackers.names import MAX_TAG, cut
from trackers.suite_document import FILE, suite_document


def suite_content(results: SuiteResults, variant: str) -> RunContent:
    """Counts of cells by how they ended, of claims by verdict."""
    counts = Counter(cell.status for cell in results.cells)
    verdicts = Counter(claim.verdict.replace(" ", "_") for claim in results.claims)
    ended = [cell for cell in results.cells if cell.ended]
    metrics = {f"cells/{status}": float(number) for status, number in counts.items()} | {"cells/planned": float(len(results.cells))}
    metrics |= {f"claims/{verdict}": float(number) for verdict, number in verdicts.items()}
    return RunContent(
        name=cut(f"suite {results.name}", 250),
        params={},
        tags={
            "bench.level": "suite",
            "bench.suite": results.name,
            "bench.variant": variant or "whole",
            "bench.status": "ok" if counts["ok"] == len(results.cells) else "partial",
            "bench.command": cut(redact(results.command), MAX_TAG),
            "mlflow.source.name": "skewbench",
            "mlflow.note.content": cut(_note(results), MAX_TAG),
        },
        metrics=metrics,
        series={},
        status="FINISHED",
        start_ms=round(min((cell.started for cell in ended if cell.started), default=0.0) * 1000),
        end_ms=round(max((cell.ended for cell in ended), default=0.0) * 1000),
    )


def suite_files(results: SuiteResults, variant: str) -> dict[str, bytes]:
    """`suite.yaml`, `environment.json`, `claims.csv`, `references.csv`, and `results.json.gz` for `pull`."""
    files = {FILE: suite_document(results, variant), "environment.json": as_json(_environments(results.cells))}
    if results.suite_text:
        files["suite.yaml"] = redact(results.suite_text).encode("utf-8", "backslashreplace")
    if results.claims:
        files["claims.csv"] = _csv(CLAIM_COLUMNS, [row for claim in results.claims for row in _claim_rows(claim)])
    if results.references:
        columns = ("reference", "where", "metric", "published", "source", "measured", "half width", "seeds", "comparable", "note")
        rows = [(r.id, r.where, r.metric, r.published, r.source, r.measured, r.half_width, r.num, r.comparable, r.note)
                for r in results.references]  # fmt: skip
        files["references.csv"] = _csv(columns, rows)
    return files


CLAIM_COLUMNS = (
    "claim", "verdict", "says", "source", "metric", "expected", "p (Holm)", "condition", "relation", "effect", "low (95 %)", "high (95 %)",
    "seeds", "holds", "note",
)  # fmt: skip


def _claim_rows(claim: ClaimResult) -> list[tuple[object, ...]]:
    """A row for each condition; one without numbers where nothing was measured."""
    head = (claim.id, claim.verdict, claim.says, claim.source, claim.metric, claim.expected, claim.p)
    return [(*head, *_effect(each), claim.note) for each in claim.effects] or [(*head, "", "", "", "", "", 0, "", claim.note)]


def _effect(found: Effect) -> tuple[object, ...]:
    return found.condition, found.relation, found.mean, found.low, found.high, found.num, found.holds


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if value is None or value != value else value for value in row] for row in rows])  # NaN is not itself
    return redact(text.getvalue()).encode("utf-8", "backslashreplace")


def _environments(cells: Sequence[CellResult]) -> list[dict[str, object]]:
    """Every distinct place where cells were computed, with how many."""
    found: dict[str, tuple[dict[str, object], int]] = {}
    for cell in cells:
        if cell.context:
            text = repr(sorted(cell.context.items()))
            found[text] = (dict(cell.context), found.get(text, ({}, 0))[1] + 1)
    return [{"cells": number, **context} for context, number in found.values()]


def _note(results: SuiteResults) -> str:
    lines = [f"**{redact(results.question)}**", "", "Artifacts: the suite file, the environment, `results.json.gz` for `skewbench pull`."]
    if results.claims:
        lines += ["", "| claim | verdict | says |", "|---|---|---|"]
        lines += [f"| {claim.id} | {claim.verdict} | {redact(claim.says)} |" for claim in results.claims]
    return "\n".join(lines)
