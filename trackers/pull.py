"""The way back: a suite's results as a tracker has them, equal to those that `sync` was given.

What is not there: arrays. Predictions stay where they were made (or are artifacts, where they were asked for), so a new metric cannot
score pulled cells, and `run` computes anew what it needs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from trackers.artifacts import CELL
from trackers.documents import record
from trackers.experiment import experiment_name
from trackers.location import TrackerError, checked, prepare_environment, redact, sqlite_path
from trackers.names import cut
from trackers.reading import artifact, runs_of
from trackers.suite_document import FILE, SuiteDocument, read_suite_document

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient


@dataclasses.dataclass(frozen=True)
class Pulled:
    """What a tracker has of a suite."""

    results: SuiteResults
    variant: str
    """Which choice of cells it is; empty: the whole suite."""
    absent: int
    """Cells that had ended when the suite was written and whose run is not there, or not whole: they count as missing."""


def read_results(uri: str, suite: str) -> SuiteResults:
    """The results of the suite of this name in the tracker, as reports take them. TrackerError, UserError: see `pull`."""
    return pull(uri, suite).results


def pull(uri: str, suite: str) -> Pulled:
    """Read a suite back from an absolute `sqlite:///` or `http(s)://`.

    UserError where the tracker has no such suite, naming those that it has; TrackerError where it cannot be read.
    """
    uri = checked(uri)
    path = sqlite_path(uri)
    if path is not None and not path.is_file():
        raise UserError(f"There is no MLflow database {path}.")
    prepare_environment()
    from mlflow.tracking import MlflowClient

    with _translated(uri):
        reader = _Reader(MlflowClient(tracking_uri=uri, registry_uri=uri), uri)
        experiment = reader.experiment(suite)
        document = reader.document(experiment, suite)
        return filled(document, reader.cells(experiment))


def filled(document: SuiteDocument, found: Mapping[str, CellResult]) -> Pulled:
    """Every planned cell, in order, with what is found of it (by key)."""
    cells, absent = [], 0
    for base in document.results.cells:
        cell = found.get(base.key)
        absent += cell is None and base.key in document.with_run
        cells.append(base if cell is None else dataclasses.replace(cell, shared_with=base.shared_with))
    return Pulled(dataclasses.replace(document.results, cells=tuple(cells)), document.variant, absent)


@dataclasses.dataclass(frozen=True)
class _Reader:
    client: MlflowClient
    uri: str

    def experiment(self, suite: str) -> str:
        found = self.client.get_experiment_by_name(experiment_name(suite))
        if found is not None and found.lifecycle_stage != "deleted":
            return str(found.experiment_id)
        names = [each.tags["bench.suite"] for each in self.client.search_experiments() if "bench.suite" in each.tags]
        there = f"It has: {', '.join(sorted(names))}." if names else "It has none that skewbench wrote."
        raise UserError(f"The tracker {redact(self.uri)} has no suite '{suite}'. {there}")

    def document(self, experiment: str, suite: str) -> SuiteDocument:
        runs = list(runs_of(self.client, experiment, "tags.`bench.level` = 'suite'"))
        if not runs:
            raise TrackerError(
                f"The tracker {redact(self.uri)} has runs of '{suite}' and not what holds them together ({FILE}): it was written by an "
                f"older skewbench, or not to the end. `skewbench sync {suite}` from the store that made it writes the rest."
            )
        return read_suite_document(artifact(self.client, runs[0], FILE))

    def cells(self, experiment: str) -> dict[str, CellResult]:
        """Of every run that was written to the end."""
        where = "tags.`bench.level` = 'cell' AND tags.`bench.current` = 'true'"
        found = runs_of(self.client, experiment, where)
        whole = [run for run in found if run.info.status != "RUNNING" and "bench.content" in run.data.tags]
        return {run.data.tags["bench.cell_key"]: self._cell(run) for run in whole}

    def _cell(self, run: Run) -> CellResult:
        data = artifact(self.client, run, CELL)
        try:
            return record(CellResult, json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TrackerError(
                f"{CELL} of the run {run.info.run_id} is damaged ({error}): `skewbench sync --check` writes it anew."
            ) from error


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except FileNotFoundError as error:
        raise TrackerError(
            f"The tracker {redact(uri)} names a file that is not on this machine: {error.filename}. Pull where it was written, or "
            "through a server."
        ) from error
    except (MlflowException, SQLAlchemyError, OSError) as error:
        why = cut(" ".join(redact(str(error)).split()), 400)
        raise TrackerError(f"The tracker {redact(uri)} could not be read: {why}") from error
