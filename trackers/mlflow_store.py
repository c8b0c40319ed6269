"""The tracker MLflow: suite results in, runs out; what stands there already is left alone.

The ledger is the source of truth, and one process writes. MLflow is imported when a store is opened, not before.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.identity import digest
from benchmark.records import CellResult, SuiteResults
from trackers import database
from trackers.content import CURVE, content_digest
from trackers.experiment import experiment_name, experiment_tags
from trackers.extras import Extras
from trackers.layout import begin_cell, configurations, has_run, shown_of, write_configuration
from trackers.location import TrackerError, checked, default_uri, prepare_environment, redact, remedy, sqlite_path
from trackers.names import cut
from trackers.suite_document import suite_digest
from trackers.suite_run import suite_content, suite_files
from trackers.way import USUAL, Way

if TYPE_CHECKING:
    from trackers.runs import Runs

__all__ = ["MlflowStore", "TrackerError", "default_uri", "redact"]


class MlflowStore:
    """One tracker. `uri`: an absolute `sqlite:///` or `http(s)://`; `artifact_root`: where files go, None where a server decides that.

    Raises TrackerError if the URI cannot be used or the database cannot be set up; a server is first spoken to by `write`.
    """

    def __init__(self, uri: str, artifact_root: Path | None, way: Way = USUAL) -> None:
        self.uri = checked(uri)
        self.way = way
        self._artifact_root = artifact_root
        self._runs: dict[str, Runs] = {}
        prepare_environment()
        from mlflow.tracking import MlflowClient

        with self.translated():
            path = sqlite_path(self.uri)
            if path is not None:
                database.prepare(path)
            self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def write(self, results: SuiteResults, *, only: Collection[str] | None = None, extras: Extras | None = None) -> dict[str, str]:
        """Create or update the runs of the cells (those in `only`, if given) and of their configurations: cell key -> run id.

        Idempotent, and safe to repeat after a kill at any moment. Raises TrackerError; what was written until then stays.
        """
        wanted = {cell.key for cell in results.cells if has_run(cell) and (only is None or cell.key in only)}
        if not wanted:
            return {}
        with self.translated():
            runs, shown = self._runs_of(results), shown_of(results)
            runs.expect(len(wanted))
            written: dict[str, str] = {}
            for cells in configurations(results, wanted):
                written |= write_configuration(runs, cells, wanted, shown, extras)
            runs.flush()
            return written

    def write_suite(self, results: SuiteResults, variant: str) -> str:
        """Create or update the run that speaks for the suite; its id. Results of a part (a `variant`) never replace those of the whole."""
        with self.translated():
            runs, key = self._runs_of(results), results.name
            content = suite_content(results, variant)
            standing = runs.find("suite", key) or runs.open(key, content)
            if variant and runs.tag(standing, "bench.variant") == "whole":
                return standing.run_id
            digest = content_digest(content, suite_digest(results, variant))
            runs.fill(key, standing, content, digest=digest, files=lambda: suite_files(results, variant))
            runs.flush()
            return standing.run_id

    def begin_cell(self, results: SuiteResults, cell: CellResult, since: float) -> tuple[str, set[int]]:
        """Open the run of a cell at work, and its configuration's; its id, and the steps of its curve that it has from an earlier attempt.

        The id is empty where the cell's run is finished: there is nothing to add.
        """
        with self.translated():
            return begin_cell(self._runs_of(results), cell, since, shown_of(results))

    def opened(self, results: SuiteResults) -> list[str]:
        """Ids of the runs of a suite that were opened here, in order."""
        known = self._runs.get(results.name)
        return list(known.opened) if known else []

    def add_points(self, run_id: str, points: Sequence[tuple[int, float]]) -> None:
        """Add (step, loss) points to a run's curve, in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        with self.translated():
            self.client.log_batch(run_id, [Metric(CURVE, loss, now, step) for step, loss in points if math.isfinite(loss)])

    def end_interrupted(self, run_id: str) -> None:
        """KILLED, if nobody has finished it meanwhile."""
        with self.translated():
            if self.client.get_run(run_id).info.status == "RUNNING":
                self.client.set_tag(run_id, "bench.status", "interrupted")
                self.client.set_terminated(run_id, "KILLED")

    def _runs_of(self, results: SuiteResults) -> Runs:
        from trackers.bulk import bulk_of
        from trackers.runs import Runs

        if results.name not in self._runs:
            experiment_id, is_new = self._experiment(results)
            bulk = bulk_of(self.client, self.client.get_experiment(experiment_id)) if self.way.in_bulk else None
            is_empty = is_new and self.way.alone
            self._runs[results.name] = Runs(self.client, experiment_id, is_empty=is_empty, bulk=bulk, way=self.way)
        return self._runs[results.name]

    def _experiment(self, results: SuiteResults) -> tuple[str, bool]:
        """Id of the suite's experiment, and whether it was made just now."""
        name, location = experiment_name(results.name), self._artifact_location(results.name)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_location=location, tags=experiment_tags(results))), True
        if found.lifecycle_stage == "deleted":
            restore = f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
            raise TrackerError(f"The experiment '{name}' was deleted in MLflow. {restore} brings it back; then run `skewbench sync`.")
        if location is not None and found.artifact_location != location:
            there = redact(str(found.artifact_location))
            raise TrackerError(
                f"The experiment '{name}' keeps its files in {there}, not in {location}: the store was moved. "
                "Move it back, or remove the MLflow database, and run `skewbench sync`, which fills a new one."
            )
        for key, value in experiment_tags(results).items():
            if found.tags.get(key) != value:
                self.client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id), False

    def _artifact_location(self, suite: str) -> str | None:
        if self._artifact_root is None:
            return None
        folder = re.sub(r"[^A-Za-z0-9_-]", "_", suite)
        return (self._artifact_root.resolve() / (folder if folder == suite else f"{folder}-{digest(suite)[:8]}")).as_uri()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Whatever goes wrong between here and the tracker as one TrackerError with the remedy; nothing remembered outlives it."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except TrackerError:
            self._runs.clear()
            raise
        except (MlflowException, SQLAlchemyError, OSError, ValueError) as error:  # ValueError: an answer that is no JSON
            self._runs.clear()
            why = cut(" ".join(redact(str(error)).split()), 400)
            raise TrackerError(
                f"The tracker {redact(self.uri)} could not be reached or written: {why} No result is lost. {remedy(str(error))}"
            ) from error
