"""The runs of one experiment: find by our tags, create, bring up to date by difference. What stands there already costs no write."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, LoggedModelStatus, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from benchmark.beside import elsewhere
from trackers.content import CURVE, RunContent, covers
from trackers.inputs import Input
from trackers.names import BASELINE_TAG

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from trackers.bulk import Bulk
    from trackers.extras import Model
    from trackers.way import Way

Files = Callable[[], Mapping[str, bytes]]
KEYS = {"cell": "bench.cell_key", "configuration": "bench.config_key", "suite": "bench.suite"}
"""The tag by which a run of each level is found."""
SCAN_FROM = 50
"""From so many look-ups on, reading the whole experiment once is cheaper than a search each."""
_FIRST_BATCH = 700
"""MLflow sends tags with the first 1,000 entities; ours say `all is there`, so more metrics than this go ahead of them."""


@dataclass(frozen=True)
class Standing:
    """A run as it stands in MLflow. `digest` is that of the content it was last brought up to; empty while that has not ended."""

    run_id: str
    digest: str = ""
    children: str = ""
    params: Mapping[str, str] | None = None
    """None: not read yet."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    is_there: bool = True
    """False: its id is drawn, and nothing of it is written."""


class Runs:
    """Finder and writer for one experiment. Remembers what it has seen, which holds as long as no one else writes our runs."""

    def __init__(self, client: MlflowClient, experiment_id: str, *, is_empty: bool, bulk: Bulk | None, way: Way) -> None:
        """`bulk`: how new runs are written many at a time, where that can be done. `is_empty`: there are no runs of ours to be found."""
        self._client = client
        self._experiment_id = experiment_id
        self._seen: dict[str, Standing] = {}
        self._seen_all = is_empty
        self._bulk = bulk
        self._way = way
        self.opened: list[str] = []
        """Ids of the runs that were opened here, in order."""

    def expect(self, num_lookups: int) -> None:
        """Read the whole experiment now if that is cheaper than so many single searches."""
        if self._seen_all or num_lookups < SCAN_FROM:
            return
        page = ""
        while True:  # pages are offsets: only an order in which new runs come last gives none twice
            found = self._client.search_runs(
                [self._experiment_id], max_results=1000, order_by=["attributes.start_time ASC"], page_token=page or None
            )
            for run in found:
                self._seen.setdefault(_key_of(run), _standing(run))
            page = found.token
            if not page:
                break
        self._seen_all = True

    def find(self, level: str, key: str) -> Standing | None:
        """The run of this cell, configuration or suite."""
        known = self._seen.get(key)
        if known is not None or self._seen_all:
            return known
        where = f"tags.`{KEYS[level]}` = '{key}' AND tags.`bench.level` = '{level}'"
        found = self._client.search_runs([self._experiment_id], where, max_results=1, order_by=["attributes.start_time ASC"])
        return _standing(found[0]) if found else None

    def open(self, key: str, content: RunContent, *, now: bool = False) -> Standing:
        """A new run, RUNNING until `fill` has ended; with `bulk` nothing of it is written before, unless it is to be there `now`."""
        if self._bulk is not None and not now:
            standing = Standing(self._bulk.new_id(), params={}, is_there=False)
        else:
            run = self._client.create_run(
                self._experiment_id, start_time=content.start_ms or None, tags=dict(content.tags), run_name=content.name
            )
            standing = Standing(run.info.run_id, params={}, tags={**content.tags, "mlflow.runName": content.name})
        self._seen[key] = standing
        self.opened.append(standing.run_id)
        return standing

    def soon(self, standing: Standing, files: Files) -> Files:
        """The files that a run will need: made from now on by a process beside this one, where there is one and the run is not filled."""
        return files if standing.digest else elsewhere(self._way.painters, files)

    def fill(self, key: str, standing: Standing, content: RunContent, *, digest: str, files: Files) -> None:
        """Bring an open run up to the content, writing differences only; nothing at all if it was brought up to it before."""
        if standing.digest and covers(standing.digest, digest) and not self._way.anew:
            self._seen.setdefault(key, standing)
            return
        if self._bulk is not None and not standing.is_there:
            self._bulk.add(standing.run_id, content, digest, files())
        else:
            self._update(standing, content, digest, files())
        self._seen[key] = Standing(standing.run_id, digest, content.tags.get("bench.children", ""))

    def log_model(self, standing: Standing, digest: str, model: Model | None) -> None:
        """A network as a logged model of an open run, once; nothing if the run was brought up to the digest before."""
        if model is None or (standing.digest and covers(standing.digest, digest)):
            return
        of_the_run = self._client.search_logged_models([self._experiment_id], filter_string=f"source_run_id = '{standing.run_id}'")
        if any(each.status == LoggedModelStatus.READY for each in of_the_run):
            return
        made = self._client.create_logged_model(self._experiment_id, name=model.name, source_run_id=standing.run_id, model_type="skewbench")
        with _folder_of(model.files) as folder:
            self._client.log_model_artifacts(made.model_id, folder)
        self._client.log_outputs(standing.run_id, [LoggedModelOutput(made.model_id, step=0)])
        self._client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)

    def go_on(self, standing: Standing) -> set[int]:
        """An open run of an attempt that was interrupted is RUNNING again; the steps of its curve that it has."""
        self._client.update_run(standing.run_id, status="RUNNING")
        self._client.set_tag(standing.run_id, "bench.status", "running")
        return {point.step for point in self._client.get_metric_history(standing.run_id, CURVE)}

    def tag(self, standing: Standing, name: str) -> str:
        """A tag of a run as it stands; empty where there is none."""
        if standing.params is None:
            return str(self._client.get_run(standing.run_id).data.tags.get(name, ""))
        return standing.tags.get(name, "")

    def flush(self) -> None:
        """Have what was added in bulk written."""
        if self._bulk is not None:
            self._bulk.flush()

    def _update(self, standing: Standing, content: RunContent, digest: str, files: Mapping[str, bytes]) -> None:
        self.flush()  # it may rest on a run that is only added yet
        old = standing if standing.params is not None else _standing(self._client.get_run(standing.run_id), with_data=True)
        self._upload(old.run_id, files)
        if content.inputs:
            self._client.log_inputs(old.run_id, [_dataset_input(each) for each in content.inputs])
        self._log(old, content, digest)
        self._client.set_terminated(old.run_id, content.status, content.end_ms or None)

    def retire(self, run_id: str) -> None:
        """Mark a run whose cell was computed anew under another key. A run that someone has deleted needs no mark."""
        try:
            self._client.set_tag(run_id, "bench.current", "false")
        except MlflowException as error:
            if error.error_code not in ("INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"):
                raise
        self._seen = {key: standing for key, standing in self._seen.items() if standing.run_id != run_id}
        self._seen_all = False

    def _upload(self, run_id: str, files: Mapping[str, bytes]) -> None:
        if files:
            with _folder_of(files) as folder:
                self._client.log_artifacts(run_id, folder)

    def _log(self, old: Standing, content: RunContent, digest: str) -> None:
        params, tags, metrics = _new_params(old, content), _new_tags(old, content), _new_metrics(old, content)
        for key in content.series:
            metrics += self._new_points(old, content, key)
        for name in _stale_tags(old, content):
            self._client.delete_tag(old.run_id, name)
        if len(metrics) > _FIRST_BATCH:
            self._client.log_batch(old.run_id, metrics=metrics)
            metrics = []
        self._client.log_batch(old.run_id, metrics, params, [*tags, RunTag("bench.content", digest)])

    def _new_points(self, old: Standing, content: RunContent, key: str) -> list[Metric]:
        """Points that are not there. A re-run that took another course adds its points with later times: MLflow forgets none."""
        there: set[tuple[int, float]] = set()
        if key in old.metrics:
            there = {(point.step, point.value) for point in self._client.get_metric_history(old.run_id, key)}
        at = _now(content) if there else content.end_ms or _now(content)
        return [Metric(key, value, at, step) for step, value in content.series[key] if (step, value) not in there]


def _key_of(run: Run) -> str:
    tags = run.data.tags
    return str(tags.get(KEYS.get(tags.get("bench.level", ""), ""), run.info.run_id))


@contextmanager
def _folder_of(files: Mapping[str, bytes]) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="skewbench-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        yield folder


def _dataset_input(found: Input) -> DatasetInput:
    data = Dataset(found.name, found.digest, "code", found.source, profile=found.profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", found.context)])


def _standing(run: Run, *, with_data: bool = False) -> Standing:
    tags = run.data.tags
    is_whole = run.info.status in ("FINISHED", "FAILED", "KILLED") and tags.get("bench.current") != "false"
    standing = Standing(run.info.run_id, tags.get("bench.content", "") if is_whole else "", tags.get("bench.children", ""))
    if not with_data:
        return standing
    return Standing(standing.run_id, standing.digest, standing.children, run.data.params, run.data.metrics, tags)


def _new_params(old: Standing, content: RunContent) -> list[Param]:
    """MLflow lets no parameter change: the same key means the same attributes, and what differs only in its wording stays as it was."""
    return [Param(key, value) for key, value in content.params.items() if key not in (old.params or {})]


def _new_tags(old: Standing, content: RunContent) -> list[RunTag]:
    tags = {**content.tags, "mlflow.runName": content.name}
    return [RunTag(key, value) for key, value in tags.items() if old.tags.get(key) != value]


def _stale_tags(old: Standing, content: RunContent) -> list[str]:
    """Tags of ours that no longer hold, as the reason of a failure that a retry has mended. Those that a person added stay."""
    ours = {key for key in old.tags if key.startswith("bench.")} - {"bench.content", BASELINE_TAG}
    if "bench.reason" in ours and "bench.reason" not in content.tags:
        ours.add("mlflow.note.content")
    return sorted(ours - content.tags.keys())


def _new_metrics(old: Standing, content: RunContent) -> list[Metric]:
    """A changed value gets a later time, so that it is the latest one; one that no longer holds becomes NaN, since MLflow deletes none."""
    first, later = content.end_ms or _now(content), _now(content)
    metrics = []
    for key, value in content.metrics.items():
        if key not in old.metrics or old.metrics[key] != value:
            metrics.append(Metric(key, value, later if key in old.metrics else first, 0))
    gone = old.metrics.keys() - content.metrics.keys() - {CURVE, *content.series}
    return metrics + [Metric(key, float("nan"), later, 0) for key in sorted(gone) if old.metrics[key] == old.metrics[key]]


def _now(content: RunContent) -> int:
    return max(int(time.time() * 1000), content.end_ms + 1)
