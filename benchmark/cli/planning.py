"""`skewbench plan`, `explain` and `validate`."""

from __future__ import annotations

import click

from benchmark.cli.console import print_json, print_lines
from benchmark.cli.session import Choice, load_plugins, open_session, suite_options
from benchmark.errors import UserError
from benchmark.explain import explain_cell
from benchmark.grid import count
from benchmark.labels import label
from benchmark.plan import Plan, PlannedCell
from benchmark.results import unfinished
from benchmark.spec import read_suite

STATES = ("done", "new", "stale", "failed", "skipped")


@click.command()
@suite_options
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON.")
@click.option("--summary", is_flag=True, help="Counts only.")
def plan(choice: Choice, as_json: bool, summary: bool) -> None:
    """List each cell of SUITE with its state and the reason, and what there is to do. Runs nothing."""
    session = open_session(choice)
    made = session.plan
    todo = session.todo()
    if as_json:
        print_json({"suite": made.suite, "counts": made.counts, "cells": [_row(p) for p in made.cells]})
        return
    if not summary:
        _print_cells(made)
    counts = ", ".join(f"{made.counts[state]} {state}" for state in STATES if made.counts[state])
    kinds = ", ".join(f"{sum(s.op == op for s in todo)} {op}" for op in ("train", "predict", "adjust"))
    click.echo(f"{made.suite}: {len(made.cells)} cells: {counts}. To do: {kinds} stages ({len(made.stages)} distinct stages in all).")


def _row(planned: PlannedCell) -> dict[str, object]:
    config = planned.cell.config
    key = planned.work.key if planned.work else None
    return {"cell": key, **config.attributes, "seed": planned.cell.seed, "state": planned.state, "reason": planned.reason}


def _print_cells(made: Plan) -> None:
    results = [unfinished(made.suite, planned) for planned in made.cells]
    labels = label(results)
    rows = []
    for planned, result in zip(made.cells, results, strict=True):
        key = planned.work.key[:10] if planned.work else ""
        config = result.config_key
        names = (labels.row.get(config, result.method), labels.condition.get(config, ""))
        rows.append([key, *names, str(planned.cell.seed), planned.state, planned.reason])
    print_lines(["cell", "method", "condition", "seed", "state", "reason"], rows)


@click.command()
@suite_options
@click.argument("cell")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def explain(choice: Choice, cell: str, as_json: bool) -> None:
    """Say why CELL (the beginning of its id, as `plan` prints it) will run or will not, and what differs from what is recorded."""
    session = open_session(choice)
    found = [p for p in session.plan.cells if p.work is not None and p.work.key.startswith(cell)]
    if len(found) != 1:
        what = "no cell" if not found else f"{len(found)} cells"
        raise UserError(f"{what} of '{session.suite.name}' begins with '{cell}': `{choice.command('plan')}` lists the ids.")
    told = explain_cell(session.plan, found[0], session.ledger)
    if as_json:
        print_json(told)
    else:
        click.echo(told.text())


@click.command()
@suite_options
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def validate(choice: Choice, as_json: bool) -> None:
    """Check SUITE without looking at any data: syntax, names, parameters, ranges, size."""
    load_plugins(choice.plugins)
    suite = read_suite(choice.suite, overrides=choice.overrides, seeds=choice.seeds)
    if as_json:
        print_json({"suite": suite.name, "cells": count(suite)})
    else:
        click.echo(f"{choice.suite}: ok: suite '{suite.name}' of {count(suite)} cells.")
