"""Baselines as MLflow shows them: tags on the runs of the accepted cells and configurations, an alias on the experiment."""

from __future__ import annotations

from dataclasses import replace

import pytest
import results_factory as factory

from trackers.baselines import mark
from trackers.experiment import experiment_name
from trackers.mlflow_store import MlflowStore
from trackers.names import BASELINE_TAG as TAG


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A tracker with the runs of a small suite, and its results."""
    folder = tmp_path_factory.mktemp("tracked")
    tracker = MlflowStore(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    results = factory.results(ratios=(10.0,), seeds=2, methods=("none", "ros"))
    tracker.write(results)
    return tracker, results


def tagged(tracker: MlflowStore, suite: str) -> dict[str, str]:
    """The tag by cell or configuration, of the runs that have it."""
    experiment = tracker.client.get_experiment_by_name(experiment_name(suite))
    runs = tracker.client.search_runs([experiment.experiment_id])
    tags = [run.data.tags for run in runs if TAG in run.data.tags]
    return {each.get("bench.cell_key", each["bench.config_key"]): each[TAG] for each in tags}


def test_a_baseline_marks_its_cells_and_nothing_else(tracked):
    tracker, results = tracked
    first = [cell for cell in results.cells if cell.method == "none"]
    keys, configurations = {cell.key for cell in first}, {cell.config_key for cell in first}
    for _ in range(2):  # idempotent
        assert mark(tracker, results.name, "main", keys, configurations, version="abc") == 3
    assert tagged(tracker, results.name) == dict.fromkeys(keys | configurations, "main")
    experiment = tracker.client.get_experiment_by_name(experiment_name(results.name))
    assert experiment.tags[f"{TAG}.main"] == "abc"
    tracker.write(replace(results, cells=tuple(replace(cell, metrics={"auc": 0.5}) for cell in results.cells)))
    assert len(tagged(tracker, results.name)) == 3, "runs that are written anew keep it"
    other = [cell for cell in results.cells if cell.seed == 0]
    mark(tracker, results.name, "release", {cell.key for cell in other}, set(), version="def")
    assert sorted(tagged(tracker, results.name).values()) == ["main", "main", "main, release", "release"]
    mark(tracker, results.name, "main", {other[1].key}, set(), version="ghi")  # replaced
    assert tagged(tracker, results.name) == {other[0].key: "release", other[1].key: "main, release"}
    for name in ("main", "release"):
        mark(tracker, results.name, name, (), (), version="")
    assert tagged(tracker, results.name) == {}
    experiment = tracker.client.get_experiment_by_name(experiment_name(results.name))
    assert not [name for name in experiment.tags if name.startswith(TAG)]


def test_a_suite_that_was_never_tracked_marks_nothing(tracked):
    assert mark(tracked[0], "nowhere", "main", {"x"}, set(), version="abc") == 0
