"""The tracker MLflow: suite results in, runs out; what stands there already is left alone.

The ledger is the source of truth, and one process writes. MLflow is imported when a store is opened, not before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.identity import digest
from benchmark.records import SuiteResults
from trackers import database
from trackers.layout import configurations, experiment_name, experiment_tags, has_run, write_configuration
from trackers.location import TrackerError, checked, default_uri, prepare_environment, redact, sqlite_path
from trackers.names import cut

if TYPE_CHECKING:
    from trackers.runs import Runs

__all__ = ["MlflowStore", "TrackerError", "default_uri", "redact"]


class MlflowStore:
    """One tracker. `uri`: an absolute `sqlite:///` or `http(s)://`; `artifact_root`: where files go, None where a server decides that.

    Raises TrackerError if the URI cannot be used or the database cannot be set up; a server is first spoken to by `write`.
    """

    def __init__(self, uri: str, artifact_root: Path | None) -> None:
        self.uri = checked(uri)
        self._artifact_root = artifact_root
        self._runs: dict[str, Runs] = {}
        prepare_environment()
        from mlflow.tracking import MlflowClient

        with self._translated():
            path = sqlite_path(self.uri)
            if path is not None:
                database.prepare(path)
            self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def write(self, results: SuiteResults, *, only: Collection[str] | None = None) -> dict[str, str]:
        """Create or update the runs of the cells (those in `only`, if given) and of their configurations: cell key -> run id.

        Idempotent, and safe to repeat after a kill at any moment. Raises TrackerError; what was written until then stays.
        """
        wanted = {cell.key for cell in results.cells if has_run(cell) and (only is None or cell.key in only)}
        if not wanted:
            return {}
        with self._translated():
            runs = self._runs_of(results)
            runs.expect(len(wanted))
            written: dict[str, str] = {}
            for cells in configurations(results, wanted):
                written |= write_configuration(runs, cells, wanted, headline=[metric.name for metric in results.metrics])
            return written

    def _runs_of(self, results: SuiteResults) -> Runs:
        from trackers.runs import Runs

        if results.name not in self._runs:
            experiment_id, is_new = self._experiment(results)
            self._runs[results.name] = Runs(self.client, experiment_id, is_empty=is_new)
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
    def _translated(self) -> Iterator[None]:
        """Whatever goes wrong between here and the tracker as one TrackerError with the remedy; nothing remembered outlives it."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except TrackerError:
            self._runs.clear()
            raise
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self._runs.clear()
            why = cut(" ".join(redact(str(error)).split()), 400)
            raise TrackerError(
                f"The tracker {redact(self.uri)} could not be reached or written: {why} "
                "No result is lost: `skewbench sync` writes what is missing."
            ) from error
