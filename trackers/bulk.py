"""New runs many at a time: rows straight into the SQLite database of MLflow, a transaction for hundreds of them.

MLflow's own client commits six times and reads back as often for every run (39 ms); this takes a few milliseconds. It knows the tables
of the MLflow versions named here and is not used with any other, nor with a server: the client is what works everywhere, and the runs
that come out are the same (tests/test_bulk.py compares them).
"""

from __future__ import annotations

import secrets
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from trackers.content import RunContent
from trackers.inputs import Input

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient
    from sqlalchemy.engine import Connection, Engine

VERSIONS = ("3.17.",)
COLUMNS = {
    "runs": (
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time", "end_time",
        "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
    ),
    "tags": ("key", "value", "run_uuid"),
    "params": ("key", "value", "run_uuid"),
    "metrics": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
    "latest_metrics": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
    "datasets": (
        "dataset_uuid", "experiment_id", "name", "digest", "dataset_source_type", "dataset_source", "dataset_schema", "dataset_profile",
    ),
    "inputs": ("input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step"),
    "input_tags": ("input_uuid", "name", "value"),
}  # fmt: skip
"""By table, in an order that no foreign key minds."""
Row = tuple[Any, ...]


def bulk_of(client: MlflowClient, experiment: Experiment) -> Bulk | None:
    """For a SQLite database of a known version with files on this machine; None where only the client will do."""
    import mlflow
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = client._tracking_client.store
    location = urlsplit(str(experiment.artifact_location))
    if not (mlflow.__version__.startswith(VERSIONS) and isinstance(store, SqlAlchemyStore) and location.scheme == "file"):
        return None
    engine: Engine = store.engine
    is_known = engine.dialect.name == "sqlite" and all(_columns(engine, table) == set(names) for table, names in COLUMNS.items())
    return Bulk(engine, int(experiment.experiment_id), str(experiment.artifact_location)) if is_known else None


def _columns(engine: Engine, table: str) -> set[str]:
    with engine.connect() as connection:
        return {str(row[1]) for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}


@dataclass
class Bulk:
    """Runs that wait to be written to one experiment. Their files are written at once, their rows together."""

    _engine: Engine
    _experiment_id: int
    _location: str
    """A `file://` URI."""
    _rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _folders: list[Path] = field(default_factory=list)
    _inputs: list[tuple[str, Input]] = field(default_factory=list)
    """Of the runs that wait, by run id: which data sets the tracker knows is seen when they are written, as the client adds some too."""

    def new_id(self) -> str:
        """32 hexadecimal digits that begin with the time: rows of one run, and of runs made together, lie together."""
        return f"{time.time_ns() // 1000:014x}{secrets.token_hex(9)}"

    def add(self, run_id: str, content: RunContent, digest: str, files: Mapping[str, bytes]) -> None:
        """A run as the client would leave it."""
        self._write_files(run_id, files)
        now = int(time.time() * 1000)
        begun, ended = content.start_ms or now, content.end_ms or now
        uri = f"{self._location.rstrip('/')}/{run_id}/artifacts"
        whole = ("UNKNOWN", "", "", "unknown", content.status, begun, ended, None, "", "active", uri, self._experiment_id)
        self._rows["runs"].append((run_id, content.name, *whole))
        tags = {**content.tags, "mlflow.runName": content.name, "bench.content": digest}
        self._rows["tags"] += [(key, value, run_id) for key, value in tags.items()]
        self._rows["params"] += [(key, value, run_id) for key, value in content.params.items()]
        self._add_metrics(run_id, content, ended)
        self._inputs += [(run_id, each) for each in content.inputs]

    def _add_metrics(self, run_id: str, content: RunContent, at: int) -> None:
        single = [(key, value, at, 0, False, run_id) for key, value in content.metrics.items()]
        series = [(key, value, at, step, False, run_id) for key, points in content.series.items() for step, value in points]
        last = [max((row for row in series if row[0] == key), key=lambda row: (row[3], row[1])) for key in content.series]
        self._rows["metrics"] += single + series
        self._rows["latest_metrics"] += single + last

    def _input_rows(self, connection: Connection, inputs: Sequence[tuple[str, Input]]) -> dict[str, list[Row]]:
        """Rows of `datasets` that are not there yet, of `inputs` and of their tags."""
        query = "SELECT name, digest, dataset_uuid FROM datasets WHERE experiment_id = ?"
        rows = connection.exec_driver_sql(query, (self._experiment_id,)).fetchall()
        known = {(str(name), str(digest)): str(id_) for name, digest, id_ in rows}
        made: dict[str, list[Row]] = defaultdict(list)
        for run_id, found in inputs:
            named, input_id = (found.name, found.digest), uuid.uuid4().hex
            if named not in known:
                known[named] = uuid.uuid4().hex
                made["datasets"].append((known[named], self._experiment_id, *named, "code", found.source, None, found.profile))
            made["inputs"].append((input_id, "DATASET", known[named], "RUN", run_id, 0))
            made["input_tags"].append((input_id, "mlflow.data.context", found.context))
        return made

    def _write_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        folder = Path(unquote(urlsplit(self._location).path), run_id)
        (folder / "artifacts").mkdir(parents=True, exist_ok=True)
        self._folders.append(folder)
        for name, data in files.items():
            (folder / "artifacts" / name).write_bytes(data)

    def flush(self) -> None:
        """Write every run that waits, all or none. What was not written is as if it had never been added."""
        rows, folders, inputs = self._rows, self._folders, self._inputs
        self._rows, self._folders, self._inputs = defaultdict(list), [], []
        if not folders:
            return
        try:
            with self._engine.begin() as connection:
                rows |= self._input_rows(connection, inputs)
                for table in COLUMNS:
                    _insert(connection, table, rows[table])
        except BaseException:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _insert(connection: Connection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        names = COLUMNS[table]
        connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", list(rows))
