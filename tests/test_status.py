"""`skewbench status`: what was meant and how far it is, who is at it, what waits for the tracker and why."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import results_factory as factory
import small
from test_cli import skewbench

from benchmark.ledger import Ledger
from benchmark.status import AT_WORK, announce, current_cells, statuses
from trackers.location import default_uri
from trackers.mirror import Mirror
from trackers.waiting import FILE, clear_trouble, note_trouble, waiting

COMMAND = "skewbench run small.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two of five cells and a result of another choice; it knows no run."""
    store = tmp_path_factory.mktemp("trained")
    small.run(store, [*small.cells(["none", {"thresholding": {}}]), *small.cells(["none"], seeds=[7])])
    return store


@pytest.fixture
def half_done(trained: Path, tmp_path: Path) -> Path:
    """The same with five cells meant."""
    store = tmp_path / "store"
    shutil.copytree(trained, store)
    plan, ledger = small.plan(store, small.cells())
    with ledger:
        announce(ledger, plan, COMMAND)
    return store


def status_of(store: Path):
    with Ledger(store, writable=False) as ledger:
        (found,) = statuses(ledger)
    return found


def test_cells_are_counted_as_the_last_run_meant_them(half_done):
    found = status_of(half_done)
    assert (found.done, found.failed, found.blocked, found.running, found.todo, found.earlier) == (2, 0, 0, 0, 3, 1)
    (worker,) = found.workers
    assert (worker.pid, worker.command, worker.stages) == (os.getpid(), COMMAND, 0)


def test_a_cell_runs_while_a_living_process_is_at_one_of_its_stages(half_done):
    """`ros` and the thresholding on it rest on one training."""
    plan, ledger = small.plan(half_done, small.cells())
    with ledger:
        train = next(cell.work.last.chain[0] for cell in plan.cells if cell.work and cell.work.last.chain[0].owner == "ros")
        assert ledger.claim(train.key)
        assert (status_of(half_done).running, status_of(half_done).todo) == (2, 1)
        assert status_of(half_done).workers[0].stages == 1
        ledger.unclaim(train.key)
    assert (status_of(half_done).running, status_of(half_done).todo) == (0, 3)


def test_two_runs_of_a_suite_are_both_seen_until_they_are_gone(half_done):
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other:
        born = psutil.Process(other.pid).create_time()
        entry = {"host": socket.gethostname(), "pid": other.pid, "born": born, "since": born, "command": "other"}
        plan, ledger = small.plan(half_done, small.cells())
        with ledger:
            ledger.note(AT_WORK, "small", [entry])
            announce(ledger, plan, COMMAND)
        assert {worker.command for worker in status_of(half_done).workers} == {COMMAND, "other"}
        other.communicate(b"\n")
    assert [worker.command for worker in status_of(half_done).workers] == [COMMAND]


def test_a_store_that_knows_no_run_shows_what_is_recorded(trained):
    found = status_of(trained)
    assert (found.done, found.todo, found.earlier, found.workers) == (3, None, 0, ())
    with Ledger(trained, writable=False) as ledger:
        assert len(current_cells(ledger, "small")) == 3


def test_what_a_tuning_has_compared_is_no_suite_that_waits(half_done):
    with Ledger(half_done) as ledger:
        for cell in list(ledger.cells("small").values()):
            ledger.record_cell(replace(cell, suite="tune/small"), last=ledger.last_stage("small", cell.key), scoring="")
        assert ledger.suites() == ["small", "tune/small"]
        assert [each.suite for each in statuses(ledger)] == ["small"]


def test_the_tracker_lacks_what_was_not_written_or_has_changed(half_done):
    with Ledger(half_done, writable=False) as ledger:
        cells = current_cells(ledger, "small")
    assert waiting(half_done, "small", cells).cells == 2
    uri = default_uri(half_done)
    for cell in cells:
        Mirror(half_done).record(uri, cell, "run")
    assert waiting(half_done, "small", cells).cells == 0
    assert waiting(half_done, "small", [cells[0], replace(cells[1], reason="otherwise now")]).cells == 1


def test_why_the_last_writing_failed_is_kept_until_one_succeeds(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hunter2@host:5000")
    cells = factory.results().cells
    note_trouble(tmp_path, "small", "no answer from http://ann:hunter2@host:5000")
    note_trouble(tmp_path, "other", "also")
    found = waiting(tmp_path, "small", cells)
    assert found.trouble is not None
    assert (found.uri, found.trouble.message) == ("http://ann:***@host:5000", "no answer from http://ann:***@host:5000")
    assert "hunter2" not in (tmp_path / FILE).read_text()
    clear_trouble(tmp_path, "small")
    assert waiting(tmp_path, "small", cells).trouble is None
    assert waiting(tmp_path, "other", cells).trouble is not None
    (tmp_path / FILE).write_text("damaged")
    assert waiting(tmp_path, "other", cells).trouble is None


def test_where_the_disk_is_full_nothing_more_fails(tmp_path):
    note_trouble(tmp_path / "not there", "small", "no room")
    assert waiting(tmp_path / "not there", "small", factory.results().cells).trouble is None


def test_the_command_tells_people_and_scripts(half_done, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    note_trouble(half_done, "small", "nobody answers")
    code, out, _ = skewbench("status", "--store", str(half_done), capsys=capsys)
    assert code == 0
    assert "2 runs wait for http://127.0.0.1:9; `skewbench sync small.yaml` writes them" in out
    assert re.search(r"failed \d+ s ago: nobody answers", out)
    assert re.search(r"small +2 +0 +0 +3 +2 *\n", out)
    assert f"process {os.getpid()} on {socket.gethostname()} is at work" in out
    assert "1 more results" in out
    code, out, _ = skewbench("status", "--store", str(half_done), "--json", capsys=capsys)
    (found,) = json.loads(out)
    assert (found["suite"], found["done"], found["todo"], found["tracker"]["cells"]) == ("small", 2, 3, 2)
    assert found["tracker"]["trouble"]["message"] == "nobody answers"


def test_no_store_is_said(tmp_path, capsys):
    code, _, err = skewbench("status", "--store", str(tmp_path / "none"), capsys=capsys)
    assert (code, "There is no store" in err) == (2, True)
