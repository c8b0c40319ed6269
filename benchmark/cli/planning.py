"""`skewbench plan`, `explain` and `validate`."""

from __future__ import annotations

import click

from benchmark.cli.console import duration, print_json, print_lines
from benchmark.cli.engines import Means, place_options, prepare
from benchmark.cli.power import power_document, power_lines
from benchmark.cli.pricing import bill_of, measure_unknown, total_lines
from benchmark.cli.pulling import pulled_note
from benchmark.cli.session import Choice, load_plugins, open_session, suite_options
from benchmark.errors import UserError
from benchmark.explain import explain_cell
from benchmark.grid import count
from benchmark.labels import label
from benchmark.plan import Plan, PlannedCell
from benchmark.price import Bill, cell_price
from benchmark.results import unfinished
from benchmark.spec import read_suite

STATES = ("done", "new", "stale", "failed", "skipped")


@click.command()
@suite_options
@place_options
@click.option("--probe", is_flag=True, help="Measure a few steps of each kind of training that has no price yet.")
@click.option("--json", "as_json", is_flag=True, help="Print the cells as JSON.")
@click.option("--summary", is_flag=True, help="Counts and prices only.")
@click.option("--power", is_flag=True, help="Say too which differences these seeds can detect, from the deviations recorded so far.")
def plan(choice: Choice, means: Means, probe: bool, as_json: bool, summary: bool, power: bool) -> None:
    """List each cell of SUITE with its state, its reason and its price alone, and what there is to do. Runs nothing.

    Prices come from what such stages took before on this machine, or from `--probe`.
    """
    session = open_session(choice, create=probe)
    todo = session.todo()
    prepared = prepare(session, means, todo)
    made = bill_of(session, prepared, todo)
    if probe and made.unknown:
        measure_unknown(session, prepared, made, lambda text: click.echo(text, err=True))
        made = bill_of(session, prepared, todo)
    if as_json:
        print_json(_document(session.plan, made) | ({"power": power_document(session.results())} if power else {}))
        return
    if not summary:
        _print_cells(session.plan, made)
    counts = ", ".join(f"{session.plan.counts[state]} {state}" for state in STATES if session.plan.counts[state])
    click.echo(f"{session.plan.suite}: {len(session.plan.cells)} cells: {counts}. {len(todo)} of {len(session.plan.stages)} stages to do.")
    click.echo("\n".join(total_lines(made)))
    if power:
        click.echo("\n".join(power_lines(session.results())))
    if pulled_note(choice.store, session.suite.name):
        click.echo("What was pulled from MLflow is results only: `report` shows it, and `run` computes anew.")


def _document(made: Plan, price: Bill) -> dict[str, object]:
    return {
        "suite": made.suite,
        "counts": made.counts,
        "sharing": price.sharing,
        "sharing_unit": price.sharing_unit,
        "price": None if price.unknown else {"wall": price.wall, "work": price.work, "workers": price.slots},
        "by_operation": {op: {"stages": number, "price": each} for op, (number, each) in price.by_op().items()},
        "cells": [_row(planned, price) for planned in made.cells],
    }


def _row(planned: PlannedCell, made: Bill) -> dict[str, object]:
    config = planned.cell.config
    key = planned.work.key if planned.work else None
    price = cell_price(made, planned.work.last) if planned.work else None
    states = {"state": planned.state, "reason": planned.reason, "price": price}
    return {"cell": key, **config.attributes, "seed": planned.cell.seed, **states}


def _print_cells(made: Plan, price: Bill) -> None:
    results = [unfinished(made.suite, planned) for planned in made.cells]
    labels = label(results)
    rows = []
    for planned, result in zip(made.cells, results, strict=True):
        key = planned.work.key[:10] if planned.work else ""
        config = result.config_key
        names = (labels.row.get(config, result.method), labels.condition.get(config, ""))
        alone = cell_price(price, planned.work.last) if planned.work else None
        cost = f"{duration(alone.seconds)} ± {duration(alone.high - alone.seconds)}" if alone else ""
        rows.append([key, *names, str(planned.cell.seed), cost, planned.state, planned.reason])
    print_lines(["cell", "method", "condition", "seed", "alone", "state", "reason"], rows)


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
