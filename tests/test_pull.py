"""There and back: what `sync` wrote, `pull` reads, field by field; through kills, servers, and the command line."""

from __future__ import annotations

import filecmp
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from faulty import free_port
from hypothesis import given
from hypothesis import strategies as st
from test_cli import SUITE, skewbench

from benchmark.errors import UserError
from benchmark.records import CellResult, SuiteResults
from tests.tracked import copied, everything, file_of, runs
from trackers.documents import as_json, record
from trackers.location import TrackerError
from trackers.mlflow_store import MlflowStore
from trackers.pull import pull, read_results
from trackers.server import mlflow_command, server_environment
from trackers.service import Service, serving
from trackers.suite_document import read_suite_document, suite_document
from trackers.sync import Beyond, sync

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


def assert_same(found: SuiteResults, wanted: SuiteResults) -> None:
    """By repr: NaN equals itself, 1 and 1.0 differ, so do a list and a tuple."""
    for item in fields(wanted):
        if item.name != "cells":
            assert repr(getattr(found, item.name)) == repr(getattr(wanted, item.name)), item.name
    assert len(found.cells) == len(wanted.cells)
    for ours, theirs in zip(found.cells, wanted.cells, strict=True):
        assert repr(ours) == repr(theirs)


def test_there_and_back_twice(tmp_path: Path, empty_tracker: Path) -> None:
    wanted = found = everything("travels")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        uri = copied(empty_tracker, tmp_path / name)
        sync(found, store=tmp_path / name, uri=uri)
        found = read_results(uri, "travels")
        assert_same(found, wanted)


def test_sqlites_planner_is_told_of_the_tables(tmp_path: Path, empty_tracker: Path) -> None:
    """Without it the page of runs, ordered by a metric, takes a minute at 22,500 runs (tests/perf/tracking_scale.py)."""
    sync(everything("planned"), store=tmp_path, uri=copied(empty_tracker, tmp_path))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        told = {table for (table,) in database.execute("SELECT DISTINCT tbl FROM sqlite_stat1")}
    assert {"runs", "tags", "params", "metrics", "latest_metrics"} <= told


numbers = st.one_of(st.floats(), st.integers(-5, 5).map(float))
texts = st.text(max_size=8)
points = st.lists(st.tuples(st.integers(0, 99), numbers), max_size=3).map(tuple)


@given(st.builds(
    CellResult, suite=texts, key=texts, config_key=texts, seed=st.integers(0, 9), status=st.sampled_from(["ok", "failed"]), reason=texts,
    attributes=st.dictionaries(texts, st.one_of(st.none(), st.booleans(), st.integers(), texts, st.floats(-9, 9))),
    metrics=st.dictionaries(texts, numbers), curve=points, history=st.dictionaries(texts, points), class_names=st.lists(texts).map(tuple),
    confusion_KK=st.one_of(st.none(), st.just(((1, 2), (3, 4)))), resolved=st.dictionaries(texts, st.lists(st.integers())),
))  # fmt: skip
def test_a_record_is_read_as_it_was_written(cell: CellResult) -> None:
    assert repr(record(CellResult, json.loads(as_json(cell)))) == repr(cell)


def test_the_document_holds_every_planned_cell_in_order() -> None:
    wanted = everything("document")
    read = read_suite_document(suite_document(wanted, "a1b2"))
    assert read.variant == "a1b2"
    assert [cell.key for cell in read.results.cells] == [cell.key for cell in wanted.cells]
    assert {cell.status for cell in read.results.cells} == {"missing"}
    assert [cell.attributes for cell in read.results.cells] == [cell.attributes for cell in wanted.cells]
    assert read.with_run == {cell.key for cell in wanted.cells if cell.status != "missing"}
    with pytest.raises(TrackerError, match="skewbench sync"):
        read_suite_document(suite_document(wanted, "")[:-9])


def test_a_part_never_replaces_the_whole(tmp_path: Path, empty_tracker: Path) -> None:
    uri, whole = copied(empty_tracker, tmp_path), everything("parts")
    part = replace(whole, cells=whole.cells[:3])
    sync(part, store=tmp_path, uri=uri, beyond=Beyond("a1b2", whole.cells[3:6]))
    assert (pull(uri, "parts").variant, len(read_results(uri, "parts").cells)) == ("a1b2", 3)
    sync(whole, store=tmp_path, uri=uri)
    sync(part, store=tmp_path, uri=uri, beyond=Beyond("c3d4"))
    assert_same(read_results(uri, "parts"), whole)


def test_what_is_not_whole_in_the_tracker_counts_as_missing(tmp_path: Path, empty_tracker: Path) -> None:
    uri, wanted = copied(empty_tracker, tmp_path), everything("torn")
    sync(wanted, store=tmp_path, uri=uri)
    store = MlflowStore(uri, tmp_path / "artifacts")
    run = runs(store, "torn", f"tags.`bench.cell_key` = '{wanted.cells[6].key}'")[0]
    store.client.delete_run(run.info.run_id)
    found = pull(uri, "torn")
    assert (found.absent, found.results.cells[6].status) == (1, "missing")
    assert found.results.cells[6].attributes == wanted.cells[6].attributes
    damaged = runs(store, "torn", f"tags.`bench.cell_key` = '{wanted.cells[7].key}'")[0]
    file_of(damaged, "cell.json").write_text("{")
    with pytest.raises(TrackerError, match="damaged"):
        pull(uri, "torn")
    shutil.rmtree(file_of(damaged, ""))
    with pytest.raises(TrackerError, match="not on this machine"):
        pull(uri, "torn")
    assert sync(wanted, store=tmp_path, uri=uri).written == 0  # by our record all is there
    sync(wanted, store=tmp_path, uri=uri, check=True)
    assert_same(read_results(uri, "torn"), wanted)


def test_what_is_not_there_is_named(tmp_path: Path, empty_tracker: Path) -> None:
    uri = copied(empty_tracker, tmp_path)
    sync(everything("there"), store=tmp_path, uri=uri)
    with pytest.raises(UserError, match=r"no suite 'elsewhere'. It has: there\."):
        pull(uri, "elsewhere")
    with pytest.raises(UserError, match="no MLflow database"):
        pull(f"sqlite:///{tmp_path}/other.db", "there")
    MlflowStore(uri, tmp_path / "artifacts").write(everything("older"))
    with pytest.raises(TrackerError, match="skewbench sync older"):
        pull(uri, "older")


def test_a_writer_killed_in_the_middle_loses_nothing(tmp_path: Path, empty_tracker: Path) -> None:
    """Killed twice, somewhere else each time; then all is there once, and equal."""
    uri, wanted = copied(empty_tracker, tmp_path), everything("killed", seeds=6)
    program = (
        "import sys; from pathlib import Path; from tests.tracked import everything; import trackers.sync as s, trackers.bulk as b\n"
        "s._CHUNK = 2; flush = b.Bulk.flush\n"
        "def told(self): flush(self); print('written', flush=True); sys.stdin.readline()\n"
        "b.Bulk.flush = told; s.sync(everything('killed', seeds=6), store=Path(sys.argv[1]), uri=sys.argv[2])"
    )
    for flushes in (1, 2):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert writer.stdin is not None
        assert writer.stdout is not None
        with writer.stdin, writer.stdout:
            for number in range(flushes):
                assert writer.stdout.readline() == b"written\n"
                if number + 1 < flushes:
                    writer.stdin.write(b"\n")
                    writer.stdin.flush()
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    before = len(runs(MlflowStore(uri, tmp_path / "artifacts"), "killed"))
    assert 0 < before < len(wanted.cells)
    sync(wanted, store=tmp_path, uri=uri)
    found = runs(MlflowStore(uri, tmp_path / "artifacts"), "killed", "tags.`bench.level` = 'cell'")
    keys = [run.data.tags["bench.cell_key"] for run in found]
    assert sorted(keys) == sorted(cell.key for cell in wanted.cells if cell.status != "missing")
    assert_same(read_results(uri, "killed"), wanted)


@pytest.mark.slow
def test_a_server_killed_in_the_middle_loses_nothing(tmp_path: Path, empty_tracker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's processes, by -9, while it takes what is synced: twice, somewhere else each time; then all is there once, and equal."""
    from mlflow import MlflowClient

    places = ["--backend-store-uri", copied(empty_tracker, tmp_path), "--artifacts-destination", str(tmp_path / "artifacts")]
    port, wanted, log_batch = free_port(), everything("served"), MlflowClient.log_batch
    server = Service([*mlflow_command("127.0.0.1", port, workers=1), *places], server_environment(), "127.0.0.1", port, tmp_path / "log")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for calls in (3, 5):
        with serving(server) as process, monkeypatch.context() as patch:
            left = iter(range(calls))

            def killing(*given: Any, of: subprocess.Popen[bytes] = process, count: Iterator[int] = left, **named: Any) -> None:
                if next(count, None) is None:
                    os.killpg(of.pid, signal.SIGKILL)
                log_batch(*given, **named)

            patch.setattr(MlflowClient, "log_batch", killing)
            with pytest.raises(TrackerError, match="No result is lost.*skewbench sync"):
                sync(wanted, store=tmp_path, uri=server.url)
    with serving(server):
        client = MlflowClient(server.url)
        (experiment,) = [each for each in client.search_experiments() if each.name.endswith("served")]
        assert 0 < len(client.search_runs([experiment.experiment_id])) < len(wanted.cells)
        sync(wanted, store=tmp_path, uri=server.url)
        found = client.search_runs([experiment.experiment_id], "tags.`bench.level` = 'cell'")
        assert sorted(run.data.tags["bench.cell_key"] for run in found) == sorted(c.key for c in wanted.cells if c.status != "missing")
        assert_same(read_results(server.url, "served"), wanted)


@pytest.mark.slow
def test_the_report_of_a_pulled_store_is_the_same_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """From the command line, on a finished suite: to MLflow, back, to another MLflow, and back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("tiny.yaml").write_text(SUITE)
    assert skewbench("run", "tiny.yaml", "--no-tracker", "--workers", "0", capsys=capsys)[0] == 0
    assert skewbench("sync", "tiny.yaml", "--log-predictions", capsys=capsys)[0] == 0
    origin, name = Path("skewbench-results"), "tiny"
    for store in ("once", "twice"):
        code, out, err = skewbench("pull", name, f"sqlite:///{origin.resolve()}/mlflow.db", "--store", store, capsys=capsys)
        assert (code, "6 of 6 cells" in out) == (0, True), err
        assert skewbench("report", name, "--store", store, capsys=capsys)[0] == 0
        assert same_files(Path("skewbench-results/reports/tiny"), Path(store, "reports/tiny"))
        assert skewbench("sync", name, "--store", store, capsys=capsys)[0] == 0
        origin = Path(store)
    code, _, err = skewbench("report", name, "--store", "once", "--seeds", "1", capsys=capsys)
    assert (code, "--seeds cannot choose" in err) == (2, True)
    code, _, err = skewbench("pull", name, "--store", "skewbench-results", capsys=capsys)
    assert (code, "a store of its own" in err) == (2, True)


def test_the_history_comes_along(tmp_path: Path, empty_tracker: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Three rounds of a suite at three commits: a report from the tracker, or from a store pulled from it, tells all of them."""
    monkeypatch.chdir(tmp_path)
    uri, now = copied(empty_tracker, tmp_path), everything("rounds")
    for number in range(3):
        cells = [
            replace(
                cell, key=f"{number}{cell.key[1:]}", ended=cell.ended + 1000 * number,
                context={**cell.context, "code_version": f"c{number}"},
                metrics={name: value - number / 10 for name, value in cell.metrics.items()},
            )
            for cell in now.cells
        ]  # fmt: skip
        sync(replace(now, cells=tuple(cells)), store=tmp_path, uri=uri)
    assert skewbench("pull", "rounds", uri, "--store", "there", capsys=capsys)[0] == 0
    told = [
        json.loads(skewbench("report", "rounds", *words, "--json", capsys=capsys)[1])["timeline"]
        for words in (("--from-mlflow", uri), ("--store", "there"))
    ]
    assert told[0] == told[1]
    means = [math.fsum(c.metrics["auc"] for c in now.cells[6:9]) / 3 - number / 10 for number in range(3)]
    (found,) = [s for s in told[0] if s["metric"] == "auc" and s["moments"][0]["value"] == pytest.approx(means[0])]
    assert [(moment["commit"], moment["num"]) for moment in found["moments"]] == [("c0", 3), ("c1", 3), ("c2", 3)]
    assert [moment["value"] for moment in found["moments"]] == pytest.approx(means)


def same_files(one: Path, other: Path) -> bool:
    names, others = (sorted(path.relative_to(root).as_posix() for path in root.rglob("[!.]*") if path.is_file()) for root in (one, other))
    assert names == others
    assert len(names) > 5
    return filecmp.cmpfiles(one, other, names, shallow=False) == (names, [], [])
