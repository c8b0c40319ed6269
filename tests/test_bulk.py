"""Runs written many at a time are the runs that MLflow's own client writes; a failure or a kill leaves all of them or none."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from benchmark.records import SuiteResults
from tests import results_factory as factory
from tests.tracked import copied, file_of, runs
from trackers import content
from trackers.artifacts import configuration_files
from trackers.bulk import Bulk, bulk_of
from trackers.content import cell_digest, content_digest
from trackers.location import TrackerError
from trackers.mlflow_store import MlflowStore
from trackers.sync import sync
from trackers.way import Way

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bulk")


@pytest.fixture(scope="module")
def bulk(folder: Path, empty_tracker: Path) -> MlflowStore:
    return MlflowStore(copied(empty_tracker, folder), folder / "artifacts")


@pytest.fixture
def client(bulk: MlflowStore, folder: Path) -> MlflowStore:
    """The same tracker without the fast path."""
    return MlflowStore(bulk.uri, folder / "artifacts", Way(in_bulk=False))


def suite(name: str) -> SuiteResults:
    """Every kind of ending, a watched training, classes with odd names, and numbers that are not finite."""
    made = factory.results(ratios=(10.0,), methods=("none", "ros"), seeds=3)
    history = {"train.accuracy": ((50, 0.5), (100, 0.9)), "test.accuracy": ((50, 0.4), (100, float("nan")))}
    cells = [replace(cell, suite=name, history=history) for cell in made.cells]
    cells[1] = replace(cells[1], metrics={**cells[1].metrics, "error": float("inf")}, class_names=("a/b", "ä", "'"))
    cells[2] = factory.unfinished(cells[2], status="failed", reason="killed (SIGKILL): from outside", log_tail="last words")
    cells[3] = factory.unfinished(cells[3], status="skipped", reason="a rule")
    return replace(made, name=name, cells=tuple(cells))


def seen(store: MlflowStore, name: str) -> Iterator[tuple[object, ...]]:
    """All that MLflow says of each run of an experiment, but for ids, and for times that it sets itself."""
    experiment = store.client.get_experiment_by_name(f"skewbench/{name}")
    runs = store.client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    own = {"bench.children", "bench.content", "bench.parent", "mlflow.parentRunId", "bench.suite"}
    for run in sorted(runs, key=lambda run: str(run.info.run_name)):
        known = run.data.tags["bench.status"] not in ("failed", "skipped")
        histories = {
            key: sorted((m.step, m.value, m.timestamp if known else 0) for m in store.client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        }
        inputs = sorted((d.dataset.name, d.dataset.digest, d.dataset.source, d.dataset.source_type, d.dataset.profile, d.dataset.schema,
                         [(tag.key, tag.value) for tag in d.tags]) for d in run.inputs.dataset_inputs)  # fmt: skip
        info = (run.info.run_name, run.info.status, run.info.user_id, run.info.lifecycle_stage)
        times = (run.info.start_time, run.info.end_time) if known else ()
        tags = {key: value for key, value in run.data.tags.items() if key not in own}
        parent = names.get(run.data.tags.get("mlflow.parentRunId", ""))
        yield info, times, run.data.params, tags, run.data.metrics, histories, inputs, parent, files(run)


def files(run: object) -> dict[str, int]:
    place = Path(unquote(urlsplit(run.info.artifact_uri).path))  # type: ignore[attr-defined]  # an MLflow run
    return {file.name: 0 if file.name == "cell.json" else len(file.read_bytes()) for file in place.iterdir()} if place.exists() else {}


def test_both_ways_give_the_same_runs(bulk: MlflowStore, client: MlflowStore) -> None:
    one, other = suite("in bulk"), suite("by client")
    bulk.write(one)
    client.write(other)
    assert len(list(seen(bulk, "in bulk"))) == 8
    for ours, theirs in zip(seen(bulk, "in bulk"), seen(bulk, "by client"), strict=True):
        assert ours == theirs


def test_what_was_written_in_bulk_is_brought_up_to_date_by_the_client(bulk: MlflowStore, client: MlflowStore) -> None:
    results = suite("mixed")
    before = bulk.write(results)
    with closing(sqlite3.connect(bulk.uri.removeprefix("sqlite:///"))) as connection:
        dump = list(connection.iterdump())
        assert client.write(results) == before
        assert list(connection.iterdump()) == dump, "there was nothing to write"
    better = replace(results, cells=tuple(replace(c, metrics={**c.metrics, "auc": 0.5}) if c.status == "ok" else c for c in results.cells))
    assert bulk.write(better) == before
    assert {run[4]["test/auc"] for run in seen(bulk, "mixed") if "test/auc" in run[4]} == {0.5}


def test_a_failure_leaves_no_run_and_no_file(bulk: MlflowStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = suite("broken")
    rows_of = Bulk._input_rows

    def broken(self: Bulk, *given: object) -> dict[str, list[tuple[object, ...]]]:
        made = rows_of(self, *given)  # type: ignore[arg-type]
        made["input_tags"].append(("no such input", "name", None))
        return made

    with monkeypatch.context() as patch:
        patch.setattr(Bulk, "_input_rows", broken)
        with pytest.raises(TrackerError, match="could not be reached or written"):
            bulk.write(results)
    assert list(seen(bulk, "broken")) == []
    assert not any((folder / "artifacts/broken").iterdir())
    assert len(bulk.write(results)) == 6


def test_another_version_of_mlflow_and_a_server_are_left_to_the_client(bulk: MlflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bulk.write(suite("known"))
    experiment = bulk.client.get_experiment_by_name("skewbench/known")
    assert bulk_of(bulk.client, experiment) is not None
    with monkeypatch.context() as patch:
        patch.setattr("trackers.bulk.COLUMNS", {"runs": ("run_uuid",)})
        assert bulk_of(bulk.client, experiment) is None
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.__version__", "3.99.0")
        assert bulk_of(bulk.client, experiment) is None


def test_a_large_sync_has_its_pictures_drawn_elsewhere(tmp_path: Path, empty_tracker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as those drawn here, byte for byte."""
    made = factory.results(ratios=(10.0,), methods=("none", "ros"), seeds=3)
    uri = copied(empty_tracker, tmp_path)
    monkeypatch.setattr("trackers.sync.LARGE", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with monkeypatch.context() as patch:
        patch.setattr("trackers.pictures._figure", None)  # whatever is drawn in this process fails
        sync(made, store=tmp_path, uri=uri)
    found = runs(MlflowStore(uri, None), made.name, "tags.`bench.level` = 'configuration'")
    for run in found:
        there = {name: file_of(run, name).read_bytes() for name in ("confusion.png", "curves.png")}
        cells = [cell for cell in made.cells if cell.config_key == run.data.tags["bench.config_key"]]
        assert there == configuration_files(cells)
    assert len(found) == 2


def test_the_digest_of_a_record_is_its_own_and_goes_with_it() -> None:
    first = factory.results().cells[0]
    other = replace(first, seed=first.seed + 1)
    assert cell_digest(first) != cell_digest(other)
    assert cell_digest(first) == cell_digest(first) == content_digest(first)
    assert cell_digest(replace(first, shared_with=7)) == cell_digest(first), "which cells are meant is not its own"
    known = len(content._own)
    del other
    gc.collect()
    assert len(content._own) < known
