"""The experiment as a person meets it: its description, every search that is documented, inputs, the suite's own run, extras."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.records import CellResult, SuiteResults
from tests import results_factory as factory
from tests.tracked import copied, everything, file_of, runs
from trackers.experiment import Search, searches_of
from trackers.extras import Extras, Model
from trackers.mlflow_store import MlflowStore
from trackers.sync import Beyond, sync

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def searched() -> SuiteResults:
    """One with the values that the README's searches name."""
    made = everything("searched", ratios=(20.0, 100.0))
    context = {"host": "node-3", "code_version": "be8566f4ce31", "device": "cpu"}
    cells = [replace(cell, context=context if cell.context else {}) for cell in made.cells]
    cells[1] = replace(cells[1], reason="error (ValueError): no")
    high = [cell.status == "ok" and cell.attributes["imbalance.ratio"] == 20.0 for cell in cells]
    cells = [replace(cell, metrics={**cell.metrics, "auc": 0.95}) if is_high else cell for cell, is_high in zip(cells, high, strict=True)]
    claims = tuple(replace(claim, about=(cells[9].config_key,)) for claim in factory.claims())
    return replace(made, cells=tuple(cells), claims=claims)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_tracker: Path) -> MlflowStore:
    folder = tmp_path_factory.mktemp("experiment")
    uri = copied(empty_tracker, folder)
    sync(searched(), store=folder, uri=uri)
    return MlflowStore(uri, folder / "artifacts")


def readme_searches() -> list[str]:
    """Those of the README's table."""
    text = (ROOT / "README.md").read_text()
    (table,) = re.findall(r"^\| what \| search \|\n(.*?)\n\n", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"``(.+?)``(?!`)", table)


@pytest.mark.parametrize("where", [*readme_searches(), *(search.text for search in searches_of(searched()))])
def test_every_documented_search_finds_some_runs_and_not_all(store: MlflowStore, where: str) -> None:
    assert 0 < len(runs(store, "searched", where)) < len(runs(store, "searched"))


def test_searches_cover_what_people_want_and_are_in_the_description(store: MlflowStore) -> None:
    named = {search.what for search in searches_of(searched())}
    for word in ("dataset", "ratio", "method", "model", "claim", "status", "code version", "host"):
        assert any(word in what for what in named), word
    note = store.client.get_experiment_by_name("skewbench/searched").tags["mlflow.note.content"]
    assert all(search.text in note for search in searches_of(searched()))
    assert searched().question in note
    assert len(readme_searches()) >= 8


def test_a_search_survives_a_quote() -> None:
    made = everything("quoted")
    assert Search("by host", 'tags.`bench.host` = "it\'s"') in searches_of(made)


@pytest.mark.parametrize(("where", "wanted"), [
    ("tags.`bench.claims` LIKE '%[B05]%'", {("ros", "100")}),
    ("metrics.`data/imbalance_ratio` >= 10 AND tags.`bench.method` = 'ros' AND tags.`bench.seed` = '2'", {("ros", "20"), ("ros", "100")}),
    ("tags.`bench.status` = 'failed'", {("none", "20")}),
])  # fmt: skip
def test_a_search_finds_the_very_runs(store: MlflowStore, where: str, wanted: set[tuple[str, str]]) -> None:
    found = runs(store, "searched", where)
    assert {(run.data.params["method"], run.data.params["imbalance.ratio"]) for run in found} == wanted


def test_inputs_are_the_sets_with_their_class_counts(store: MlflowStore) -> None:
    cell = searched().cells[0]
    (run,) = runs(store, "searched", f"tags.`bench.cell_key` = '{cell.key}'")
    inputs = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert set(inputs) == {"train", "test"}
    assert json.loads(inputs["train"].profile) == {
        "images": 420, "imbalance_ratio": 10.0, "class_counts": {"cat": 20, "dog": 200, "owl": 200},
    }  # fmt: skip
    assert json.loads(inputs["test"].profile)["class_counts"] == {"cat": 10, "dog": 10, "owl": 10}
    assert all(each.name == "digits" and len(each.digest) <= 36 for each in inputs.values())
    same_seed = runs(store, "searched", "tags.`bench.seed` = '2' AND tags.`bench.status` = 'ok' AND params.`imbalance.ratio` = '100'")
    digests = {each.inputs.dataset_inputs[0].dataset.digest for each in same_seed}
    assert (len(same_seed), len(digests)) == (2, 1), "methods of one seed train on one set"


def test_the_suite_has_a_run_of_its_own(store: MlflowStore) -> None:
    (run,) = runs(store, "searched", "tags.`bench.level` = 'suite'")
    assert run.data.metrics["cells/ok"] == 8
    assert run.data.metrics["claims/supported"] == 1
    assert file_of(run, "suite.yaml").read_text() == "suite: searched\n"
    (environment,) = json.loads(file_of(run, "environment.json").read_text())
    assert (environment["host"], environment["cells"]) == ("node-3", 12)
    claims = list(csv.DictReader(file_of(run, "claims.csv").read_text().splitlines()))
    assert [(row["claim"], row["verdict"]) for row in claims][0] == ("B05", "supported")
    assert float(claims[0]["effect"]) == 0.03
    assert [row["reference"] for row in csv.DictReader(file_of(run, "references.csv").read_text().splitlines())][0] == "T4a"


def test_classes_have_metrics_of_their_own_only_where_the_suite_asks(store: MlflowStore) -> None:
    cell = searched().cells[5]
    (run,) = runs(store, "searched", f"tags.`bench.cell_key` = '{cell.key}'")
    assert {key for key in run.data.metrics if key.count("/") > 1} == {
        "test/recall/cat",
        "test/recall/dog",
        "test/recall/owl",
        "test/groups/tail",
    }
    quiet = replace(searched(), name="quiet", show_per_class=(), cells=(replace(cell, suite="quiet"),))
    run = store.client.get_run(store.write(quiet)[cell.key])
    assert {key for key in run.data.metrics if key.count("/") > 1} == {"test/groups/tail"}


def test_predictions_and_models_are_logged_when_asked_and_once(tmp_path: Path, empty_tracker: Path) -> None:
    uri, results = copied(empty_tracker, tmp_path), factory.results(ratios=(10.0,), methods=("none",), seeds=1)
    asked: list[CellResult] = []

    def model(cell: CellResult) -> Model:
        asked.append(cell)
        return Model("lenet5-1", {"MLmodel": b"{}", "model.safetensors": b"weights"})

    wanted = Beyond(extras=Extras(lambda _: b"scores", model))
    assert sync(results, store=tmp_path, uri=uri).written == 1
    assert [sync(results, store=tmp_path, uri=uri, beyond=wanted).written for _ in range(2)] == [1, 0]
    assert sync(results, store=tmp_path, uri=uri).written == 0, "asking for less takes nothing away"
    (tmp_path / "tracker.db").unlink()
    sync(results, store=tmp_path, uri=uri, beyond=wanted)
    client = MlflowStore(uri, tmp_path / "artifacts").client
    (run,) = runs(MlflowStore(uri, tmp_path / "artifacts"), "factory", "tags.`bench.level` = 'cell'")
    assert file_of(run, "predictions.safetensors").read_bytes() == b"scores"
    (logged,) = client.search_logged_models([run.info.experiment_id])
    assert (logged.source_run_id, str(logged.status)) == (run.info.run_id, "READY")
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert len(asked) == 2
