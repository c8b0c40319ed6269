"""The history of a suite read back from MLflow: every seed's run, also of cells that were computed anew since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.moments import Point
from benchmark.points import point_of
from benchmark.records import CellResult
from trackers.artifacts import CELL
from trackers.experiment import experiment_name
from trackers.location import TrackerError, checked, redact, sqlite_path
from trackers.reading import artifact, runs_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Read:
    """What a tracker holds of a suite's history."""

    points: tuple[Point, ...]
    """The oldest first."""
    unreadable: int
    """Runs whose `cell.json` is not there or not whole: they are left out."""


def read_points(uri: str, suite: str, known: Mapping[str, CellResult] | None = None) -> Read:
    """Every finished cell of a suite. `known`: cells that were read before, by key; their files are not read again.

    TrackerError if the tracker cannot be read or does not know the suite.
    """
    path = sqlite_path(checked(uri))
    if path is not None and not path.is_file():
        raise TrackerError(f"there is no MLflow database {path}.")
    from trackers.mlflow_store import MlflowStore

    tracker = MlflowStore(uri, None)
    with tracker.translated():
        experiment = tracker.client.get_experiment_by_name(experiment_name(suite))
        if experiment is None:
            raise TrackerError(
                f"{redact(uri)} has no experiment '{experiment_name(suite)}': was the suite written there (`skewbench sync`)?"
            )
        runs = runs_of(tracker.client, experiment.experiment_id, "tags.`bench.level` = 'cell' AND tags.`bench.status` = 'ok'")
        found = [_point(tracker.client, run, known or {}) for run in runs]
    points = [point for point in found if point is not None]
    return Read(tuple(sorted(points, key=lambda point: (point.ended, point.cell))), len(found) - len(points))


def _point(client: MlflowClient, run: Run, known: Mapping[str, CellResult]) -> Point | None:
    from mlflow.exceptions import MlflowException

    cell = known.get(run.data.tags.get("bench.cell_key", ""))
    if cell is not None and cell.status == "ok":
        return point_of(cell)
    try:
        return point_of(_cell(json.loads(artifact(client, run, CELL))))
    except (MlflowException, OSError, ValueError, KeyError, TypeError):
        return None  # counted, and told by whoever asked


def _cell(record: Mapping[str, Any]) -> CellResult:
    """The part of a cell that its history is about. Numbers that JSON has not are written as texts."""
    plain = {name: record[name] for name in ("suite", "key", "config_key", "attributes", "status", "context")}
    metrics, profile = ({name: float(value) for name, value in record[part].items()} for part in ("metrics", "profile"))
    return CellResult(**plain, metrics=metrics, profile=profile, seed=int(record["seed"]), ended=float(record["ended"]))
