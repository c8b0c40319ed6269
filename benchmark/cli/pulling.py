"""`skewbench pull`, and what a pulled store is to the other verbs: results without a plan, without data, without arrays."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from benchmark.cli.console import print_json
from benchmark.cli.history import tracked_points
from benchmark.cli.session import Choice, default_store
from benchmark.errors import UserError
from benchmark.ledger import Ledger
from benchmark.moments import Point
from benchmark.records import SuiteResults
from benchmark.redaction import redact

PULLED = "pulled"
"""Kind of notes in the ledger, by suite: what a tracker had of it, but for its cells, which stand where all cells do."""


@dataclasses.dataclass(frozen=True)
class PulledSuite:
    """A suite of a pulled store."""

    results: SuiteResults
    variant: str
    uri: str
    """Where it came from, fit to be shown."""


@dataclasses.dataclass(frozen=True)
class PullReport:
    """What a pull has brought."""

    suite: str
    store: str
    cells: int
    """Planned ones."""
    with_result: int
    absent: int
    """Had ended where they were written, and are not (wholly) in the tracker."""


@click.command()
@click.argument("suite")
@click.argument("uri", required=False)
@click.option("--store", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to make: a store of its own.")
@click.option("--json", "as_json", is_flag=True, help="Print what came as JSON.")
def pull(suite: str, uri: str | None, store: Path, as_json: bool) -> None:
    """Make a store of what MLflow has of SUITE, the opposite of `sync`: `report` and `sync` work on it as on the one that filled MLflow.

    URI is that of the tracker: http://HOST:PORT, or sqlite:////path/to/mlflow.db; else MLFLOW_TRACKING_URI, else that of the default
    store. Neither the suite file nor the data set is needed. Predictions and weights are not brought: other metrics cannot be scored, and
    `run` computes anew.
    """
    from trackers.location import default_uri
    from trackers.pull import pull as read

    place = uri or default_uri(default_store())
    click.echo(f"reading {suite} from {redact(place)} ...", err=True)
    found = read(place, suite)
    history = tracked_points(place, suite, found.results.cells)
    done = [cell for cell in found.results.cells if cell.status != "missing"]
    _keep(store, PulledSuite(found.results, found.variant, redact(place)), history)
    report = PullReport(found.results.name, str(store), len(found.results.cells), len(done), found.absent)
    if found.absent:
        click.echo(
            f"{found.absent} cells had ended and are not whole in MLflow: `skewbench sync --check` where they were computed, then "
            "pull again.",
            err=True,
        )
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{store}: {report.with_result} of {report.cells} cells of {report.suite}. Next: skewbench report {suite} --store {store}"
        )


def _keep(store: Path, pulled: PulledSuite, history: Sequence[Point]) -> None:
    """Write the store; pulling again replaces what was pulled before. UserError for a store in which something was computed."""
    from trackers.suite_document import suite_document

    name = pulled.results.name
    with Ledger(store) as ledger:
        if ledger.stages():
            raise UserError(f"{store} holds results that were computed there: pull into a store of its own.")
        document = base64.b64encode(suite_document(pulled.results, pulled.variant)).decode()
        ledger.forget_cells(name, list(ledger.scored(name)))
        ledger.take_over([cell for cell in pulled.results.cells if cell.status != "missing"])
        ledger.add_points(history)
        ledger.note(PULLED, name, {"uri": pulled.uri, "document": document, "when": time.time()})


def pulled_suite(choice: Choice) -> PulledSuite | None:
    """What the store has of the suite if it was pulled and nothing has been computed since; None for any other store.

    UserError where a part of it is asked for: there is no plan from which a part could be chosen.
    """
    note = pulled_note(choice.store, choice.suite)
    if note is None:
        return None
    with Ledger(choice.store, writable=False) as ledger:
        cells = ledger.cells(choice.suite)
    if choice.overrides or choice.only or choice.seeds is not None:
        raise UserError(
            f"{choice.store} was pulled from MLflow, where '{choice.suite}' is one whole: --set, --only and --seeds cannot choose from it."
        )
    from trackers.pull import filled
    from trackers.suite_document import read_suite_document

    document = read_suite_document(base64.b64decode(note["document"]))
    return PulledSuite(filled(document, cells).results, document.variant, note["uri"])


def pulled_note(store: Path, suite: str) -> Mapping[str, Any] | None:
    """What was kept of a suite beside its cells; None where it was not pulled, or something has been computed since."""
    if not (store / "ledger.sqlite").exists():
        return None
    with Ledger(store, writable=False) as ledger:
        note = ledger.notes(PULLED).get(suite)
        return None if note is None or ledger.stages() else note


def told(pulled: PulledSuite) -> str:
    """What to know of pulled results, in a sentence."""
    return (
        f"Pulled from {pulled.uri}: scores as they were recorded. Predictions and weights are not here, so other metrics cannot be scored."
    )
