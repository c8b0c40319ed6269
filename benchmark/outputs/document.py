"""A run without a baseline in the form of a check's document, so that one set of outputs serves both."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from benchmark.labels import label
from benchmark.records import CellResult, SuiteResults
from benchmark.summary import mean_of, values_by_seed

Document = Mapping[str, Any]
"""See benchmark.gate.verdict.GateVerdict; of a run: `baseline` is empty, `outcome` is `ok` or `failed`."""
STATES = {"ok": "measured", "missing": "missing", "skipped": "skipped"}


def run_document(results: SuiteResults) -> dict[str, Any]:
    """Every configuration with the means of its metrics, every cell with its state, every failure as a problem."""
    labels = label(results.cells)
    groups: dict[str, list[CellResult]] = defaultdict(list)
    for cell in results.cells:
        if cell.status != "skipped":
            groups[cell.config_key].append(cell)
    failures = [cell for cell in results.cells if cell.status in ("failed", "blocked")]
    names = {key: f"{labels.row[key]} · {labels.condition[key]}" for key in groups}
    measured = sum(cell.status == "ok" for cell in results.cells)
    outcome = "failed" if failures else "ok"
    told = f"{measured} of {sum(map(len, groups.values()))} cells measured" + (f", {len(failures)} failed" if failures else "")
    return {
        "version": 1,
        "suite": results.name,
        "baseline": "",
        "outcome": outcome,
        "exit_code": int(bool(failures)),
        "summary": f"{outcome}: {told}",
        "configurations": [_configuration(key, names[key], cells, results) for key, cells in groups.items()],
        "overall": [],
        "changes": [],
        "problems": [f"{cell.status}: {names[cell.config_key]} seed {cell.seed}: {cell.reason}" for cell in failures],
        "regressions": [],
        "improvements": [],
        "new": [],
        "created": time.time(),
        "commit_before": "",
        "commit_after": next((str(cell.context["code_version"]) for cell in results.cells if "code_version" in cell.context), ""),
        "command": results.command,
    }


def _configuration(key: str, name: str, cells: list[CellResult], results: SuiteResults) -> dict[str, Any]:
    bad = any(cell.status in ("failed", "blocked") for cell in cells)
    means = {info.name: mean_of(values_by_seed(cells, info.name).values()) for info in results.metrics}
    judgements = [
        {"measure": "quality", "metric": metric, "outcome": "ok", "improved": False, "before": None, "after": mean.mean, "loss": None,
         "low": None, "high": None, "margin": None, "p": None, "num": mean.num, "test": f"mean over {mean.num} seeds", "note": ""}
        for metric, mean in means.items()
        if mean.num
    ]  # fmt: skip
    return {
        "name": name,
        "key": key,
        "attributes": dict(cells[0].attributes),
        "outcome": "failed" if bad else "ok",
        "judgements": judgements,
        "cells": [_cell(cell) for cell in cells],
    }


def _cell(cell: CellResult) -> dict[str, Any]:
    return {"pair": "", "seed": cell.seed, "state": STATES.get(cell.status, "failed"), "before_key": "", "after_key": cell.key,
            "reason": cell.reason, "changes": [], "judgements": [], "command": ""}  # fmt: skip


def failure_document(suite: str, code: int, *, command: str = "", log_tail: str = "") -> dict[str, Any]:
    """Of a command that came to no result at all: it broke off, or its input was wrong."""
    return {
        "version": 1, "suite": suite, "baseline": "", "outcome": "failed", "exit_code": code,
        "summary": f"failed: the command ended with {_ending(code)} and no result", "configurations": [], "overall": [], "changes": [],
        "problems": [line for line in log_tail.splitlines() if line.strip()][-5:], "regressions": [], "improvements": [], "new": [],
        "created": time.time(), "commit_before": "", "commit_after": "", "command": command,
    }  # fmt: skip


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
