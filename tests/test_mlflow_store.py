"""The MLflow tracker on a real SQLite database: layout, idempotence, kills, hostile names, a tracker that is away."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from tests import results_factory as factory
from tests.tracked import copied
from trackers.database import prepare, token
from trackers.location import TrackerError, checked, default_uri, redact
from trackers.mirror import Mirror
from trackers.mlflow_store import MlflowStore
from trackers.names import metric_key
from trackers.server import require_free, ui_command
from trackers.sync import sync

ROOT = Path(__file__).resolve().parents[1]
# MLflow 3.17 asks SQLAlchemy 2.1 for a loader that the latter calls deprecated, whenever it opens a database.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_tracker: Path) -> MlflowStore:
    """One database for the file. Each test writes a suite of its own name."""
    folder = tmp_path_factory.mktemp("tracker")
    return MlflowStore(copied(empty_tracker, folder), folder / "artifacts")


def suite(name: str, **options: object) -> SuiteResults:
    made = factory.results(**{"ratios": (10.0,), "methods": ("none", "ros"), **options})  # type: ignore[arg-type]  # options of results
    return renamed(made, name)


def renamed(made: SuiteResults, name: str) -> SuiteResults:
    return replace(made, name=name, cells=tuple(replace(cell, suite=name) for cell in made.cells))


def changed(results: SuiteResults, key: str, change: Callable[[CellResult], CellResult]) -> SuiteResults:
    return replace(results, cells=tuple(change(cell) if cell.key == key else cell for cell in results.cells))


def runs(store: MlflowStore, name: str, where: str = "") -> list:  # type: ignore[type-arg]  # of mlflow.entities.Run
    experiment = store.client.get_experiment_by_name(f"skewbench/{name}")
    return list(store.client.search_runs([experiment.experiment_id], where, max_results=1000))


def dump(store: MlflowStore) -> list[str]:
    """Every row of every table."""
    with closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as connection:
        return list(connection.iterdump())


def file_of(run: object, name: str) -> Path:
    return Path(unquote(urlsplit(run.info.artifact_uri).path), name)  # type: ignore[attr-defined]  # an MLflow run


def test_layout_has_a_run_per_configuration_and_one_per_seed_linked_both_ways(store: MlflowStore) -> None:
    results = suite("layout")
    written = store.write(results)
    children, parents = runs(store, "layout", "tags.bench.level = 'cell'"), runs(store, "layout", "tags.bench.level = 'configuration'")
    assert (len(children), len(parents)) == (6, 2)
    assert written == {run.data.tags["bench.cell_key"]: run.info.run_id for run in children}
    for parent in parents:
        below = {run.data.tags["bench.seed"]: run.info.run_id for run in children if run.data.tags["bench.parent"] == parent.info.run_id}
        assert json.loads(parent.data.tags["bench.children"]) == below
        assert parent.data.tags["bench.status"] == "ok"
    assert {run.info.status for run in children + parents} == {"FINISHED"}
    assert all(run.data.tags["mlflow.parentRunId"] == run.data.tags["bench.parent"] for run in children)


def test_child_holds_what_the_cell_holds(store: MlflowStore) -> None:
    results = suite("child")
    cell = results.cells[4]
    run = store.client.get_run(store.write(results)[cell.key])
    assert run.data.params["imbalance.ratio"] == "10"
    assert "dataset.cap" not in run.data.params, "a parameter that is not set says nothing"
    assert run.data.params["seed"] == "1"
    assert run.data.metrics["test/recall/dog"] == cell.metrics["recall/dog"]
    assert run.data.metrics["validation/auc"] == cell.metrics["validation.auc"]
    assert run.data.metrics["profile/seconds.train"] == 3.0
    assert (run.info.start_time, run.info.end_time) == (1_700_000_001_000, 1_700_000_003_000)
    history = store.client.get_metric_history(run.info.run_id, "train_loss")
    assert sorted((point.step, point.value) for point in history) == list(cell.curve)
    assert json.loads(file_of(run, "cell.json").read_text())["resolved"] == cell.resolved
    assert json.loads(file_of(run, "confusion.json").read_text())["confusion"] == [list(row) for row in cell.confusion_KK or ()]


def test_the_history_of_a_training_is_metrics_with_steps(store: MlflowStore) -> None:
    """Written once; a sync after a re-run that saw something else adds its points, and nothing is taken for gone."""
    points = {"train.accuracy": ((50, 0.5), (100, 0.9)), "test.accuracy": ((50, 0.4), (100, math.nan))}
    results = suite("history", methods=("none",), seeds=1)
    watched = replace(results, cells=tuple(replace(cell, history=points) for cell in results.cells))
    run_id = store.write(watched)[watched.cells[0].key]
    store.write(watched)

    def seen(key: str) -> list[tuple[int, float]]:
        return [(point.step, point.value) for point in store.client.get_metric_history(run_id, key)]

    assert sorted(seen("history/train.accuracy")) == [(50, 0.5), (100, 0.9)]
    assert seen("history/test.accuracy") == [(50, 0.4)], "MLflow is given finite values only"
    other = replace(watched, cells=tuple(replace(cell, history={"train.accuracy": ((50, 0.6), (100, 0.9))}) for cell in watched.cells))
    store.write(other)
    assert sorted(seen("history/train.accuracy")) == [(50, 0.5), (50, 0.6), (100, 0.9)]


def test_parent_aggregates_agree_with_numpy_and_scipy(store: MlflowStore) -> None:
    results = suite("parents", seeds=4)
    store.write(results)
    (parent,) = runs(store, "parents", "tags.bench.level = 'configuration' AND tags.bench.method = 'ros'")
    values = np.array([cell.metrics["auc"] for cell in results.cells if cell.method == "ros"])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    metrics = parent.data.metrics
    assert metrics["test/auc.n"] == 4
    assert metrics["test/auc.mean"] == pytest.approx(values.mean())
    assert metrics["test/auc.sd"] == pytest.approx(values.std(ddof=1))
    assert metrics["test/auc.ci95"] == pytest.approx((high - low) / 2)
    assert metrics["profile/seconds.train.mean"] == pytest.approx(3.5)
    for picture in ("confusion.png", "curves.png"):
        assert file_of(parent, picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("tags.bench.method = 'ros'", 8),
        ("tags.bench.method = 'ros' AND tags.bench.level = 'cell'", 6),
        ("params.`imbalance.ratio` = '100' AND tags.bench.level = 'cell'", 6),
        ("params.\"imbalance.ratio\" = '10' AND params.method = 'none' AND params.seed = '2'", 1),
        ("tags.bench.status = 'ok' AND tags.bench.dataset = 'digits' AND metrics.`test/auc` > 0.915", 4),
        ("metrics.`test/auc.mean` > 0.85 AND attributes.status = 'FINISHED'", 2),
        ("metrics.`test/recall/cat` > 0.915", 4),
    ],
)
def test_filters_that_people_want(store: MlflowStore, where: str, count: int) -> None:
    store.write(suite("filters", ratios=(10.0, 100.0)))
    assert len(runs(store, "filters", where)) == count


def test_writing_twice_changes_nothing_at_all(store: MlflowStore) -> None:
    results = suite("twice")
    first = store.write(results)
    before = dump(store)
    assert store.write(results) == first
    assert MlflowStore(store.uri, store._artifact_root).write(results) == first  # remembers nothing
    assert dump(store) == before


def test_following_seed_by_seed_gives_what_one_write_gives(store: MlflowStore) -> None:
    results, at_once = suite("followed"), suite("at-once")
    for cell in results.cells:
        store.write(results, only={cell.key})
    store.write(at_once)

    def seen(name: str) -> list[tuple[object, ...]]:
        return sorted((run.info.run_name, run.info.status, sorted(run.data.metrics.items())) for run in runs(store, name))

    assert seen("followed") == seen("at-once")


def test_a_cell_computed_again_updates_its_run_and_its_parent(store: MlflowStore) -> None:
    results = suite("again")
    key = results.cells[0].key
    before = store.write(results)
    again = changed(results, key, lambda cell: replace(cell, metrics={**cell.metrics, "auc": 0.5}, ended=cell.ended - 1))
    assert store.write(again, only={key}) == {key: before[key]}
    run = store.client.get_run(before[key])
    parent = store.client.get_run(run.data.tags["bench.parent"])
    assert run.data.metrics["test/auc"] == 0.5
    assert parent.data.metrics["test/auc.mean"] == pytest.approx(np.mean([0.5, 0.91, 0.92]))
    assert len(json.loads(parent.data.tags["bench.children"])) == 3


def test_a_failure_shows_its_reason_and_a_retry_clears_it(store: MlflowStore) -> None:
    good = suite("failure")
    key = good.cells[0].key
    bad = changed(good, key, lambda cell: factory.unfinished(cell, status="failed", reason="error (ValueError): no", log_tail="last words"))
    run = store.client.get_run(store.write(bad)[key])
    parent = store.client.get_run(run.data.tags["bench.parent"])
    assert (run.info.status, run.data.tags["bench.reason"]) == ("FAILED", "error (ValueError): no")
    assert file_of(run, "log.txt").read_text() == "last words"
    assert (parent.data.tags["bench.status"], parent.data.tags["bench.seeds_failed"], parent.data.metrics["test/auc.n"]) == (
        "partial",
        "1",
        2,
    )
    run = store.client.get_run(store.write(good)[key])
    parent = store.client.get_run(parent.info.run_id)
    assert run.info.status == "FINISHED"
    assert not {"bench.reason", "mlflow.note.content"} & run.data.tags.keys()
    assert (parent.data.tags["bench.status"], parent.data.metrics["test/auc.n"]) == ("ok", 3)


def test_cells_that_have_not_run_get_no_run(store: MlflowStore) -> None:
    assert store.write(suite("few", change=factory.unfinished)) == {}
    assert store.client.get_experiment_by_name("skewbench/few") is None


@pytest.mark.parametrize(
    ("status", "reason", "word"),
    [
        ("failed", "error (ValueError): no", "FAILED"),
        ("blocked", "needs the train stage of 'ros', which failed (not-finite: …)", "FAILED"),
        ("failed", "timeout: stopped at its time limit of 60 s", "KILLED"),
        ("failed", "killed (SIGKILL): the worker was killed from outside by SIGKILL", "KILLED"),
        ("skipped", "leaves five images a class", "KILLED"),
    ],
)
def test_what_did_not_end_well_has_a_word_of_mlflow_a_reason_and_its_log(store: MlflowStore, status: str, reason: str, word: str) -> None:
    name = f"ending {status} {reason[:5]}"
    results = suite(
        name, methods=("none",), seeds=1, change=lambda cell: factory.unfinished(cell, status=status, reason=reason, log_tail="end")
    )
    run = store.client.get_run(store.write(results)[results.cells[0].key])
    (parent,) = runs(store, name, "tags.bench.level = 'configuration'")
    assert (run.info.status, parent.info.status) == (word, word)
    assert (run.data.tags["bench.status"], run.data.tags["bench.reason"]) == (status, reason)
    assert reason in run.data.tags["mlflow.note.content"]
    assert file_of(run, "log.txt").read_text() == "end"


def test_numbers_that_no_longer_hold_become_nan(store: MlflowStore) -> None:
    results = suite("gone")
    key = results.cells[0].key
    store.write(results)
    worse = changed(results, key, lambda cell: replace(cell, metrics={"auc": math.inf}))
    run = store.client.get_run(store.write(worse)[key])
    assert math.isnan(run.data.metrics["test/auc"])
    assert math.isnan(run.data.metrics["test/recall/cat"])
    assert run.data.tags["bench.not_finite"] == "test/auc"


def test_a_new_key_for_the_same_seed_retires_the_old_run(store: MlflowStore) -> None:
    results = suite("code")
    old = store.write(results)[results.cells[0].key]
    new = store.write(changed(results, results.cells[0].key, lambda cell: replace(cell, key="f" * 32)))["f" * 32]
    assert new != old
    assert store.client.get_run(old).data.tags["bench.current"] == "false"
    assert store.write(results)[results.cells[0].key] == old  # the code was changed back
    assert len(runs(store, "code", "tags.bench.current = 'true'")) == 6


def test_hostile_class_names_stay_apart(store: MlflowStore) -> None:
    names = ("a/b", "a:2f:b", "..", ".", "", "ä", "猫", "x{y}=\n", "\udc80", "n" * 600, "n" * 601, "$x_1$")
    results = suite("hostile-../names", seeds=1, methods=("none",))
    cell = replace(results.cells[0], class_names=names, confusion_KK=tuple((1,) * len(names) for _ in names))
    cell = replace(cell, metrics={"auc": 0.9, **{f"recall/{name}": float(index) for index, name in enumerate(names)}})
    run = store.client.get_run(store.write(replace(results, cells=(cell,)))[cell.key])
    assert sorted(value for key, value in run.data.metrics.items() if key.startswith("test/recall/")) == [
        float(i) for i in range(len(names))
    ]
    assert file_of(run, "cell.json").is_relative_to(store._artifact_root or "")
    json.loads(file_of(run, "cell.json").read_text())


@given(st.text(max_size=12), st.text(max_size=12))
def test_metric_keys_are_valid_and_injective(one: str, other: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_key(f"recall/{one}"))
    assert (metric_key(f"recall/{one}") == metric_key(f"recall/{other}")) == (one == other)


def test_with_many_classes_only_the_artifact_holds_each(store: MlflowStore) -> None:
    results = suite("many", seeds=1, methods=("none",))
    names = tuple(f"c{index}" for index in range(21))
    metrics = {"recall": 0.5, "groups/tail": 0.1, **{f"recall/{name}": 0.5 for name in names}}
    cell = replace(results.cells[0], class_names=names, metrics=metrics)
    run = store.client.get_run(store.write(replace(results, cells=(cell,)))[cell.key])
    assert {key for key in run.data.metrics if key.startswith("test/")} == {"test/recall", "test/groups/tail"}
    assert len(json.loads(file_of(run, "cell.json").read_text())["metrics"]) == 23


def test_long_curves_and_values_pass(store: MlflowStore) -> None:
    results = suite("long", seeds=1, methods=("none",))
    curve = tuple((step, 1 / (step + 1)) for step in range(2_500))
    cell = replace(results.cells[0], curve=curve, attributes={**results.cells[0].attributes, "model.text": "x" * 9000})
    results = replace(results, cells=(cell,))
    run = store.client.get_run(store.write(results)[cell.key])
    assert len(run.data.params["model.text"]) == 6000
    before = dump(store)
    MlflowStore(store.uri, store._artifact_root).write(results)
    assert dump(store) == before
    assert run.data.metrics["test/auc"] == cell.metrics["auc"]


def test_no_password_reaches_the_tracker(store: MlflowStore) -> None:
    results = suite("secret", seeds=1, methods=("none",))
    secret = "http://ann:hunter2@host:5000/x?token=hunter2"
    cell = factory.unfinished(results.cells[0], status="failed", reason=f"at {secret}", log_tail=f"{secret}\n")
    cell = replace(cell, resolved={"uri": secret}, context={"host": secret})
    run = store.client.get_run(store.write(replace(results, cells=(cell,), command=f"skewbench run --tracker {secret}"))[cell.key])
    files = b"".join(path.read_bytes() for path in file_of(run, "").iterdir())
    assert "hunter2" not in "\n".join(dump(store))
    assert b"hunter2" not in files


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("http://ann:p@ss/w@host/x", "http://ann:***@host/x"),
        ("postgresql+psycopg://u:p@h/d and http://tok@h", "postgresql+psycopg://u:***@h/d and http://***@h"),
        ("http://h:5000/#/a?password=p&b=1", "http://h:5000/#/a?password=***&b=1"),
        ("sqlite:////home/x/mlflow.db", "sqlite:////home/x/mlflow.db"),
    ],
)
def test_redact(text: str, safe: str) -> None:
    assert redact(text) == safe


def test_killed_in_the_middle_then_synced_has_every_run_once(tmp_path: Path, store: MlflowStore) -> None:
    results = suite("killed", seeds=8)
    program = (
        "import sys; from pathlib import Path; from trackers.mlflow_store import MlflowStore; from trackers.way import Way\n"
        "from tests import test_mlflow_store as t\n"
        "store = MlflowStore(sys.argv[1], Path(sys.argv[2]), Way(in_bulk=False))\n"
        "print('open', flush=True); store.write(t.suite('killed', seeds=8))"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, store.uri, str(store._artifact_root)], stdout=subprocess.PIPE, cwd=ROOT)
    assert writer.stdout is not None
    with writer.stdout:
        writer.stdout.readline()
        for _ in range(600):
            experiment = store.client.get_experiment_by_name("skewbench/killed")
            if experiment is not None and len(store.client.search_runs([experiment.experiment_id])) >= 4:
                break
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(runs(store, "killed")) < 18, "the kill came too late to test anything"
    written = store.write(results)
    assert len(runs(store, "killed")) == 18
    assert {run.info.status for run in runs(store, "killed")} == {"FINISHED"}
    for cell in results.cells:
        history = store.client.get_metric_history(written[cell.key], "train_loss")
        assert sorted((point.step, point.value) for point in history) == list(cell.curve)
        assert len(store.client.get_metric_history(written[cell.key], "test/auc")) == 1


def test_sync_writes_once_and_survives_a_lost_mirror_or_database(tmp_path: Path, store: MlflowStore) -> None:
    results = suite("synced", seeds=2)
    assert sync(results, store=tmp_path, uri=store_copy(store, tmp_path)).written == 4
    again = sync(results, store=tmp_path)
    assert (again.written, again.already_there) == (0, 4)
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        before = list(connection.iterdump())
    (tmp_path / "tracker.db").write_bytes(b"no database at all" * 100)
    assert sync(results, store=tmp_path).written == 4  # all of them looked up, none written
    with closing(sqlite3.connect(database)) as connection:
        assert list(connection.iterdump()) == before
    database.unlink()
    assert len(Mirror(tmp_path).pending(default_uri(tmp_path), results.cells)) == 4


def store_copy(store: MlflowStore, folder: Path) -> str:
    """A database of its own: the file's, with no experiment of the suite in it yet."""
    return copied(Path(store.uri.removeprefix("sqlite:///")), folder)


def test_two_who_sync_at_once_write_every_run_once(tmp_path: Path, store: MlflowStore) -> None:
    uri = store_copy(store, tmp_path)
    program = (
        "import sys; from pathlib import Path; from tests import test_mlflow_store as t; import trackers.runs\n"
        "print('ready', flush=True); sys.stdin.readline(); t.sync(t.suite('both', seeds=4), store=Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(runs(MlflowStore(uri, tmp_path / "artifacts"), "both")) == 8 + 2 + 1


def test_a_lock_that_cannot_be_had_is_a_tracker_error(tmp_path: Path, store: MlflowStore) -> None:
    uri = store_copy(store, tmp_path)
    (tmp_path / "mlflow.db.writer").mkdir()
    with pytest.raises(TrackerError, match="skewbench sync"):
        sync(suite("unlocked"), store=tmp_path, uri=uri)


def test_which_other_cells_are_meant_changes_no_run(tmp_path: Path) -> None:
    cell = suite("selection").cells[0]
    mirror = Mirror(tmp_path)
    mirror.record("http://host:1", cell, "run")
    assert mirror.pending("http://host:1", [replace(cell, shared_with=7)]) == []


def test_mirror_notices_changes_and_asks_without_mlflow(tmp_path: Path) -> None:
    program = (
        "import sys; from dataclasses import replace; from pathlib import Path; from tests import results_factory as f\n"
        "from trackers.mirror import Mirror; from trackers.sync import sync\n"
        "cells = f.results().cells; mirror = Mirror(Path(sys.argv[1])); uri = 'http://host:1'\n"
        "assert len(mirror.pending(uri, cells)) == 18\n"
        "for cell in cells: mirror.record(uri, cell, 'run')\n"
        "assert mirror.pending(uri, cells) == [] and len(mirror.pending('http://other:1', cells)) == 18\n"
        "new = replace(cells[3], reason='x'); assert mirror.pending(uri, [*cells[:3], new, *cells[4:]]) == [new]\n"
        "from trackers.suite_document import suite_digest; from trackers.layout import shown_of\n"
        "mirror.record_all(uri, cells, {cell.key: 'run' for cell in cells}, shown_of(f.results()))\n"
        "mirror.record_suite(uri, f.results().name, '', suite_digest(f.results(), ''), 'run')\n"
        "assert sync(f.results(), store=Path(sys.argv[1]), uri=uri).written == 0\n"
        "assert not {'mlflow', 'torch', 'pandas', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT)


def test_a_database_is_set_up_once_in_wal_and_half_made_ones_are_made_anew(store: MlflowStore, tmp_path: Path) -> None:
    path = Path(store.uri.removeprefix("sqlite:///"))
    before = token(path)
    prepare(path)
    assert token(path) == before > 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    half = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(half)) as connection:
        connection.execute("CREATE TABLE experiments (half_made TEXT)")
    half.with_name("mlflow.db.lock").write_bytes(b"creating")
    opened = MlflowStore(f"sqlite:///{half}", tmp_path / "artifacts")
    assert opened.client.search_experiments()[0].name == "Default"
    assert half.with_name("mlflow.db.lock").read_bytes() == b""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_away_costs_seconds_and_names_the_remedy() -> None:
    store = MlflowStore(f"http://ann:hunter2@127.0.0.1:{free_port()}", None)
    start = time.monotonic()
    with pytest.raises(TrackerError, match="skewbench sync") as raised:
        store.write(suite("away"))
    assert time.monotonic() - start < 8
    assert "hunter2" not in str(raised.value)
    assert "ann:***@127.0.0.1" in str(raised.value)
    assert "hunter2" not in str(dict(os.environ))


def test_a_deleted_experiment_is_named_with_the_way_back(store: MlflowStore) -> None:
    results = suite("deleted", seeds=1)
    store.write(results)
    store.client.delete_experiment(store.client.get_experiment_by_name("skewbench/deleted").experiment_id)
    with pytest.raises(TrackerError, match="mlflow experiments restore"):
        MlflowStore(store.uri, store._artifact_root).write(results)


def test_a_moved_store_is_refused_before_files_go_astray(store: MlflowStore, tmp_path: Path) -> None:
    results = suite("moved", seeds=1)
    store.write(results)
    with pytest.raises(TrackerError, match="the store was moved"):
        MlflowStore(store.uri, tmp_path).write(results)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///x/mlruns", "mlruns"])
def test_a_folder_of_files_is_refused_with_the_reason(uri: str) -> None:
    with pytest.raises(TrackerError, match=re.escape("stopped supporting in 3.13")):
        checked(uri)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite://", "postgresql://u:hunter2@h/d", "databricks://x"])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(TrackerError) as raised:
        checked(uri)
    assert "hunter2" not in str(raised.value)


def test_default_uri_honours_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert default_uri(tmp_path) == "http://host:5000"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    assert checked(default_uri(tmp_path)) == f"sqlite:///{tmp_path}/mine.db"


def test_ui_listens_on_this_machine_only_and_says_when_the_port_is_taken(tmp_path: Path) -> None:
    command = ui_command(tmp_path, None, port=5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--backend-store-uri") + 1] == default_uri(tmp_path)
    with pytest.raises(UserError, match="is a server already"):
        ui_command(tmp_path, "http://ann:hunter2@host:5000")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="--port"):
            require_free("127.0.0.1", taken.getsockname()[1])
