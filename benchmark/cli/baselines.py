"""`skewbench baseline`: what a regression check compares with."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmark.cli.browse import warn
from benchmark.cli.console import print_json, print_lines
from benchmark.cli.engines import Means, place_options
from benchmark.cli.gauging import gauge, measured_now
from benchmark.cli.session import Choice, Session, open_session, plugins_option, store_option, suite_options
from benchmark.errors import LedgerError, UserError
from benchmark.evaluate import scoring_key
from benchmark.gate.baseline import Baseline, BaselineCell, Baselines, all_baselines
from benchmark.gate.portable import export as export_file
from benchmark.gate.portable import import_ as import_file
from benchmark.gate.sides import Now
from benchmark.gate.triage import commit_of, installed

name_option = click.option("--name", default="main", show_default=True, help="Name of the baseline.")


@click.group()
def baseline() -> None:
    """Accept results as the baseline of a suite, look at baselines, share them as files."""


@baseline.command()
@suite_options
@place_options
@name_option
@click.option(
    "--timings",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="How often each configuration is measured alone, to compare time and memory with. 0: they are not compared.",
)
@click.option("--partial", is_flag=True, help="Accept what is done, although cells are missing or have failed.")
@click.option("--no-tracker", is_flag=True, help="Do not mark the runs in MLflow.")
@click.option("--json", "as_json", is_flag=True, help="Print what was accepted as JSON.")
def accept(choice: Choice, means: Means, name: str, timings: int, partial: bool, no_tracker: bool, as_json: bool) -> None:  # noqa: PLR0913
    """Accept the results of SUITE, as they are now, as its baseline NAME.

    It is a copy: later runs, retries and code do not change it. A baseline of that name is replaced.
    """
    session = open_session(choice, create=True)
    now = measured_now(session)
    good = _accepted(session, now, partial=partial)
    windows = gauge(session, means, {each.result.key for each in good}, timings)
    cells = tuple(BaselineCell(replace(each.result, log_tail=""), each.sha256, each.size) for each in good)
    made = Baseline(
        session.suite.name, cells, scoring_key(session.suite.metrics), time.time(), _commit(session, good), installed(), windows,
        choice.command("baseline accept"),
    )  # fmt: skip
    files = {each.sha256: each.path for each in good}
    kept = Baselines(choice.store, made.suite).keep(name, made, lambda sha256: (choice.store / files[sha256]).read_bytes())
    if not no_tracker:
        mark_runs(choice.store, kept.suite, name, kept)
    _tell(_facts(kept, name), f"{made.suite}: {len(cells)} cells accepted as '{name}' ({kept.id}).", as_json=as_json)


def _accepted(session: Session, now: Sequence[Now], *, partial: bool) -> list[Now]:
    """The finished cells; UserError where others are wanted and not there."""
    good = [each for each in now if each.result.status == "ok" and each.sha256]
    bad = [each.result for each in now if each.result.status not in ("ok", "skipped")]
    if not good or (bad and not partial):
        told = f"{bad[0].method} seed {bad[0].seed} is {bad[0].status}" if bad else "there is none"
        advice = f"`{session.choice.command('run')}` first" + (", or --partial." if good else ".")
        raise UserError(f"{len(bad)} of {len(now)} cells of '{session.suite.name}' are not done ({told}): {advice}")
    return good


def _commit(session: Session, good: Sequence[Now]) -> str:
    """Of the folder that the suite stands in, if that is a checkout, else of skewbench as it computed the cells."""
    return commit_of(session.folders.suite or Path()) or str(good[0].result.context.get("code_version", ""))


def mark_runs(store: Path, suite: str, name: str, kept: Baseline | None) -> None:
    """Show a baseline in MLflow, or with None that it is gone; a tracker that is away is worth a warning."""
    from trackers.location import TrackerError, default_uri, sqlite_path

    uri = default_uri(store)
    path = sqlite_path(uri)
    if path is not None and not path.exists():
        return  # nothing has been tracked: nothing to mark
    try:
        from trackers.baselines import mark
        from trackers.mlflow_store import MlflowStore

        tracker = MlflowStore(uri, store / "artifacts" if path is not None else None)
        cells = [cell.result for cell in kept.cells] if kept else []
        keys = ({cell.key for cell in cells}, {cell.config_key for cell in cells})
        mark(tracker, suite, name, *keys, version=kept.id if kept else "")
    except TrackerError as error:
        warn(error)


@baseline.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(store: Path, as_json: bool) -> None:
    """List the baselines of the store."""
    found = [_listed(store, suite, name) for suite, name in all_baselines(store)]
    if as_json:
        print_json(found)
    elif found:
        print_lines(list(found[0]), [["–" if value is None else str(value) for value in each.values()] for each in found])
    else:
        click.echo(f"{store}: no baseline yet. `skewbench baseline accept SUITE` makes one.")


def _listed(store: Path, suite: str, name: str) -> dict[str, Any]:
    """A baseline's facts; of a damaged one little more than that it is."""
    try:
        return _facts(Baselines(store, suite).read(name), name)
    except LedgerError as error:
        warn(error)
        unknown = dict.fromkeys(("accepted", "cells", "timings", "commit"))
        return {"suite": suite, "name": name, "version": "damaged", **unknown}


@baseline.command()
@click.argument("suite")
@name_option
@store_option
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(suite: str, name: str, store: Path, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show a baseline of SUITE: its cells and scores, where they were computed, what was measured."""
    found = Baselines(store, _suite_name(suite, plugins)).read(name)
    if as_json:
        print_json({**_facts(found, name), "libraries": found.libraries, "cells": [cell.result for cell in found.cells]})
        return
    print_lines(["", ""], [[key, str(value)] for key, value in _facts(found, name).items()])
    results = [cell.result for cell in found.cells]
    metrics = [key for key in results[0].metrics if "/" not in key and "." not in key][:4]
    scores = [[f"{result.metrics.get(key, math.nan):.4f}" for key in metrics] for result in results]
    rows = [[result.key[:10], result.method, str(result.seed), *each] for result, each in zip(results, scores, strict=True)]
    print_lines(["cell", "method", "seed", *metrics], rows)


@baseline.command()
@click.argument("suite")
@name_option
@store_option
@plugins_option
def drop(suite: str, name: str, store: Path, plugins: tuple[Path, ...]) -> None:
    """Take a baseline of SUITE away. The results in the store stay."""
    baselines = Baselines(store, _suite_name(suite, plugins))
    version = baselines.drop(name)
    mark_runs(store, baselines.suite, name, None)
    click.echo(f"{baselines.suite}: baseline '{name}' ({version}) is dropped.")


@baseline.command("export")
@click.argument("suite")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@name_option
@store_option
@plugins_option
def export_(suite: str, file: Path, name: str, store: Path, plugins: tuple[Path, ...]) -> None:
    """Write a baseline of SUITE to FILE (a zip), to be shared: `baseline import FILE`."""
    found = Baselines(store, _suite_name(suite, plugins)).read(name)
    export_file(found, name, file)
    click.echo(f"{file}: baseline '{name}' of {found.suite}, {len(found.cells)} cells, {file.stat().st_size / 2**20:.1f} MiB.")


@baseline.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help="Another name than the one it was exported with.")
@store_option
def import_(file: Path, name: str | None, store: Path) -> None:
    """Take a baseline from FILE into the store. Every byte is checked; nothing is kept where anything is wrong."""
    chosen, found = import_file(file, store, name)
    click.echo(f"{found.suite}: baseline '{chosen}' ({found.id}) of {len(found.cells)} cells.")


def _suite_name(suite: str, plugins: tuple[Path, ...]) -> str:
    """A suite by its file, as a shipped one, or by the name that it gives itself."""
    from benchmark.cli.session import load_plugins
    from benchmark.spec import read_suite, shipped

    if suite not in shipped() and not Path(suite).is_file():
        return suite
    load_plugins(plugins)
    return read_suite(suite).name


def _facts(found: Baseline, name: str) -> dict[str, Any]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.accepted))
    timings = min((len(window) for window in found.timings.values()), default=0)
    return {
        "suite": found.suite, "name": name, "version": found.id, "accepted": when, "cells": len(found.cells), "timings": timings,
        "commit": found.commit or "–",
    }  # fmt: skip


def _tell(document: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(words)
