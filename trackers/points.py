"""The history of a suite read back from MLflow: every seed's run, also of cells that were computed anew since."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from benchmark.moments import Point
from benchmark.points import point_of
from benchmark.records import CellResult
from trackers.experiment import experiment_name
from trackers.location import TrackerError, checked, redact, sqlite_path

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

RECORD = "cell.json"
_PAGE = 1000


@dataclass(frozen=True)
class Read:
    """What a tracker holds of a suite's history."""

    points: tuple[Point, ...]
    """The oldest first."""
    unreadable: int
    """Runs whose `cell.json` is not there or not whole: they are left out."""


def read_points(uri: str, suite: str) -> Read:
    """Every finished cell of a suite. TrackerError if the tracker cannot be read or does not know the suite."""
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
        found = [_point(tracker.client, run) for run in _runs(tracker.client, experiment.experiment_id)]
    points = [point for point in found if point is not None]
    return Read(tuple(sorted(points, key=lambda point: (point.ended, point.cell))), len(found) - len(points))


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    where = "tags.`bench.level` = 'cell' AND tags.`bench.status` = 'ok'"
    page = ""
    while True:  # pages are offsets: an order in which new runs come last gives none twice
        found = client.search_runs(
            [experiment_id], where, max_results=_PAGE, order_by=["attributes.start_time ASC"], page_token=page or None
        )
        yield from found
        page = found.token
        if not page:
            return


def _point(client: MlflowClient, run: Run) -> Point | None:
    from mlflow.exceptions import MlflowException

    try:
        return point_of(_cell(json.loads(_record(client, run))))
    except (MlflowException, OSError, ValueError, KeyError, TypeError):
        return None  # counted, and told by whoever asked


def _record(client: MlflowClient, run: Run) -> str:
    place = urlsplit(run.info.artifact_uri)
    if place.scheme in ("", "file"):
        return (Path(unquote(place.path)) / RECORD).read_text()
    with tempfile.TemporaryDirectory(prefix="skewbench-") as folder:
        return Path(client.download_artifacts(run.info.run_id, RECORD, folder)).read_text()


def _cell(record: Mapping[str, Any]) -> CellResult:
    """The part of a cell that its history is about. Numbers that JSON has not are written as texts."""
    plain = {name: record[name] for name in ("suite", "key", "config_key", "attributes", "status", "context")}
    metrics, profile = ({name: float(value) for name, value in record[part].items()} for part in ("metrics", "profile"))
    return CellResult(**plain, metrics=metrics, profile=profile, seed=int(record["seed"]), ended=float(record["ended"]))
