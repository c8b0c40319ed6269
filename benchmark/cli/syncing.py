"""`skewbench sync`: what MLflow lacks of a store's results, written; and what `run` hands on to its follower."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchmark.cli.browse import warn
from benchmark.cli.console import print_json
from benchmark.cli.following import follow
from benchmark.cli.pulling import PulledSuite, pulled_suite
from benchmark.cli.session import Choice, Session, open_session, suite_options
from benchmark.records import CellResult

if TYPE_CHECKING:
    from trackers.extras import Extras
    from trackers.sync import SyncReport

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Wanted:
    """What is logged beyond the usual."""

    predictions: bool = False
    models: bool = False

    @property
    def arguments(self) -> list[str]:
        """As command-line arguments."""
        return ["--log-predictions"] * self.predictions + ["--log-models"] * self.models

    def extras(self, session: Session) -> Extras:
        from benchmark.logged import model_of, predictions_of
        from trackers.extras import Extras, Model

        work = {planned.work.key: planned.work for planned in session.plan.cells if planned.work}
        ledger = session.ledger

        def predictions(cell: CellResult) -> bytes | None:
            return predictions_of(work[cell.key], ledger) if ledger and cell.key in work else None

        def model(cell: CellResult) -> Model | None:
            found = model_of(work[cell.key], ledger) if ledger and cell.key in work else None
            return Model(found.name, found.files) if found else None

        return Extras(predictions if self.predictions else None, model if self.models else None)


USUAL = Wanted()


def log_options(function: F) -> F:
    """`--log-predictions`, `--log-models`."""
    predictions = "Log each cell's predictions to MLflow (safetensors: scores and labels)."
    models = "Log each cell's network to MLflow as a model, as far as the store has its weights (`run --keep-weights`)."
    function = click.option("--log-models", is_flag=True, help=models)(function)
    return click.option("--log-predictions", is_flag=True, help=predictions)(function)


@click.command()
@suite_options
@log_options
@click.option("--check", is_flag=True, help="Write all of it anew: for what was lost or damaged in MLflow.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.option("--follow", "follows", is_flag=True, hidden=True, help="Go on until standard input ends: how `run` fills MLflow meanwhile.")
def sync(choice: Choice, log_predictions: bool, log_models: bool, check: bool, as_json: bool, follows: bool) -> None:  # noqa: PLR0913
    """Write what MLflow does not have yet of SUITE's results; a second time changes nothing. `skewbench pull` is the way back."""
    from trackers.location import TrackerError

    wanted = Wanted(log_predictions, log_models)
    pulled = pulled_suite(choice)
    if follows:
        follow(open_session(choice), lambda session: write(session, wanted))
        return
    try:
        done = _write_pulled(choice, pulled, check=check) if pulled else write(open_session(choice), wanted, check=check)
    except TrackerError as error:
        warn(error)
        raise SystemExit(1) from error
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.uri}: {done.written} cells written, {done.already_there} already there.")


def write(session: Session, wanted: Wanted = Wanted(), *, check: bool = False) -> SyncReport:
    """Write what the tracker lacks; a failure is kept in the store for `status`, until a writing succeeds."""
    from trackers.location import TrackerError
    from trackers.sync import Beyond
    from trackers.sync import sync as write_all
    from trackers.waiting import clear_trouble, note_trouble

    store, results = session.choice.store, session.results()
    extras = wanted.extras(session) if wanted != Wanted() else None
    also = _other_seeds(session, {cell.key for cell in results.cells}, {cell.config_key: cell.code for cell in results.cells})
    gc.freeze()  # what was read stays: to look through it for garbage again and again takes a large sync a third of its time
    try:
        done = write_all(results, store=store, check=check, beyond=Beyond(session.choice.variant, also, extras))
    except TrackerError as error:
        note_trouble(store, session.suite.name, str(error))
        raise
    finally:
        gc.unfreeze()
    clear_trouble(store, session.suite.name)
    return done


def _write_pulled(choice: Choice, pulled: PulledSuite, *, check: bool) -> SyncReport:
    from trackers.sync import Beyond
    from trackers.sync import sync as write_all

    return write_all(pulled.results, store=choice.store, check=check, beyond=Beyond(pulled.variant))


def _other_seeds(session: Session, planned: set[str], code: dict[str, Any]) -> tuple[CellResult, ...]:
    """What the ledger has, by the same code, of these configurations at seeds that are not meant now.

    The tracker's run of a configuration is over all its seeds: `--seeds 1` must not make it one over a single seed.
    """
    name = session.suite.name
    if session.ledger is None or session.ledger.scored(name).keys() <= planned:
        return ()
    recorded = session.ledger.cells(name).values()
    return tuple(cell for cell in recorded if cell.key not in planned and code.get(cell.config_key) == cell.code)
