"""`skewbench status`: how a store stands."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli.console import duration, print_json, print_table
from benchmark.cli.session import store_arguments, store_option
from benchmark.errors import UserError
from benchmark.ledger import Ledger
from benchmark.redaction import redact
from benchmark.status import SuiteStatus, Worker, current_cells, statuses

if TYPE_CHECKING:
    from trackers.waiting import Waiting

_COLUMNS = ["suite", "done", "failed", "running", "todo", "waiting for MLflow"]


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def status(store: Path, as_json: bool) -> None:
    """Show how far each suite in the store is, who is at work on it, and what waits for the tracker and why.

    Cells are those that the last `run` of a suite was asked for. `running`: a stage of theirs is being computed. Nothing is
    read but the store; a tracker that is away costs nothing here.
    """
    if not (store / "ledger.sqlite").exists():
        raise UserError(f"There is no store in {store}: nothing was run yet, or --store names another folder.")
    from trackers.waiting import waiting

    with Ledger(store, writable=False) as ledger:
        found = [(each, waiting(store, each.suite, current_cells(ledger, each.suite))) for each in statuses(ledger)]
    if as_json:
        print_json([{**asdict(each), "tracker": asdict(lacks)} for each, lacks in found])
        return
    click.echo(f"cells of {store}")
    print_table("", _COLUMNS, [_row(each, lacks) for each, lacks in found])
    for each, lacks in found:
        for line in _lines(each, lacks, store):
            click.echo(line)


def _row(each: SuiteStatus, lacks: Waiting) -> list[str]:
    failed = str(each.failed) + (f" (+ {each.blocked} blocked)" if each.blocked else "")
    todo = "?" if each.todo is None else str(each.todo)
    return [each.suite, str(each.done), failed, str(each.running), todo, str(lacks.cells)]


def _lines(each: SuiteStatus, lacks: Waiting, store: Path) -> list[str]:
    lines = [_at_work(each.suite, worker) for worker in each.workers]
    if each.earlier:
        lines.append(f"{each.suite}: {each.earlier} more results, of other choices of cells or of earlier code")
    if each.todo and not each.workers:
        lines.append(f"{each.suite}: nobody is at it; to go on: {each.command}")
    if lacks.cells:
        known = each.command.replace("skewbench run", "skewbench sync", 1)
        how = known or shlex.join(["skewbench", "sync", each.suite, *store_arguments(store)])
        lines.append(f"{each.suite}: {lacks.cells} runs wait for {lacks.uri}; `{how}` writes them")
    if lacks.trouble:
        ago = duration(time.time() - lacks.trouble.when)
        lines.append(f"{each.suite}: the last writing failed {ago} ago: {redact(lacks.trouble.message)}")
    return lines


def _at_work(suite: str, worker: Worker) -> str:
    since = duration(time.time() - worker.since)
    return f"{suite}: process {worker.pid} on {worker.host} is at work since {since}, on {worker.stages} stages: {worker.command}"
