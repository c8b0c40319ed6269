"""The report and the MLflow runs of a tuning."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import tuning_factory as factory
from mlflow.tracking import MlflowClient
from scipy import stats

from benchmark.errors import UserError
from benchmark.studies import Trial, Tuning
from reports.tuning import build_tuning, comparison_table, studies_table, trials_table
from trackers.location import TrackerError
from trackers.tuning import sync_tuning

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(scope="module")
def tuning() -> Tuning:
    return factory.record()


@pytest.fixture(scope="module")
def files(tuning) -> dict[str, bytes]:
    return build_tuning(tuning)


def test_the_page_has_its_figures_tables_and_notes(files):
    page = files["index.html"].decode()
    for words in (
        "Tuned against untuned",
        "Unequal budgets",
        "skewbench tune s.yaml",
        "best_so_far.svg",
        "importances.svg",
        "parallel_1.svg",
    ):
        assert words in page
    for name in ("best_so_far", "importances", "slice_1", "contour_1", "parallel_1"):
        assert files[f"figures/{name}.svg"].startswith(b"<?xml")
    assert b"mathdefault" not in files["figures/slice_1.svg"]


def test_the_difference_is_paired_over_seeds(tuning):
    (row,) = comparison_table(tuning.comparisons).rows
    differences = np.array([0.9 - 0.8, 0.85 - 0.7, 0.8 - 0.75])
    half = stats.t.ppf(0.975, 2) * differences.std(ddof=1) / math.sqrt(3)
    assert row[4].sort == pytest.approx(differences.mean())
    assert f"± {half:.3f}" in row[4].text


def test_pruned_and_failed_trials_have_no_value_and_budgets_are_told(tuning):
    table = trials_table(tuning.studies)
    states = {shown[2].text: shown[3].text for shown in table.rows}
    assert states["pruned"] == states["failed"] == "–"
    assert [row[3].text for row in studies_table(tuning.studies).rows] == ["10", "9"]
    assert studies_table(tuning.studies).rows[0][7].sort == pytest.approx(8 * 3 + 1 + 0.5)


def test_best_so_far_rises_and_ends_with_the_last_trial(tuning):
    points = tuning.studies[0].best_so_far()
    assert [count for count, _, _ in points] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert [best for _, _, best in points] == pytest.approx([0.9 + n / 100 for n in range(8)] + [0.97])
    assert points[-1][1] == pytest.approx(25.5)


def test_somebody_elses_folder_is_left_alone(tuning, tmp_path):
    from reports.tuning import write_tuning

    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="holds other files"):
        write_tuning(tuning, tmp_path)


def test_mlflow_has_a_run_for_the_study_and_one_for_each_trial_once(tuning, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert sync_tuning(tuning, store=tmp_path, uri=uri) == 2 + 10 + 9
    assert sync_tuning(tuning, store=tmp_path, uri=uri) == 0
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tune/s")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    assert len(runs) == 21
    (parent,) = [run for run in runs if run.data.tags["bench.level"] == "study" and run.data.metrics["trials"] == 10]
    assert parent.data.metrics["best.auc"] == pytest.approx(0.97)
    assert parent.data.metrics["importance/recipe.optimizer.lr"] == 0.8
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"history.png", "study.json"}
    children = {run.data.tags["bench.trial"]: run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert {name: run.info.status for name, run in children.items()} == {
        **dict.fromkeys("01234567", "FINISHED"),
        "8": "KILLED",
        "9": "FAILED",
    }
    assert children["9"].data.tags["bench.kind"] == "not-finite"
    assert children["0"].data.params["recipe.batch"] == "16"
    assert [(p.step, p.value) for p in client.get_metric_history(children["0"].info.run_id, "on_the_way.auc")] == [(10, 0.7)]


def test_what_an_earlier_winner_had_and_the_new_one_has_not_is_gone_from_the_run(tuning, tmp_path):
    uri, study = f"sqlite:///{tmp_path / 'mlflow.db'}", tuning.studies[0]
    sync_tuning(replace(tuning, studies=(study,)), store=tmp_path, uri=uri)
    better = Trial(10, "complete", {"recipe.optimizer.lr": 0.2}, (0.99,), started=1.0, ended=6.0)
    later = replace(study, trials=(*study.trials, better), best=(10,), importances={"recipe.optimizer.lr": 1.0})
    assert sync_tuning(replace(tuning, studies=(later,)), store=tmp_path, uri=uri) == 2
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tune/s")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`bench.level` = 'study'")
    best = {name: value for name, value in run.data.tags.items() if name.startswith("bench.best.")}
    assert best == {"bench.best.recipe.optimizer.lr": "0.2"}
    assert math.isnan(run.data.metrics["importance/recipe.batch"])
    assert run.data.metrics["importance/recipe.optimizer.lr"] == 1.0


def test_a_tracker_that_is_away_is_said_to_cost_nothing(tuning, tmp_path, monkeypatch):
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    with pytest.raises(TrackerError, match="Nothing is lost"):
        sync_tuning(tuning, store=tmp_path, uri="http://127.0.0.1:9")
