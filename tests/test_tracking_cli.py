"""MLflow from the command line: filled while a suite runs, later, and never in the way; the page is served."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from test_cli import SUITE

from benchmark.ledger import Ledger
from trackers.server import require_free

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite that was run once with the tracker on."""
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "tiny.yaml").write_text(SUITE)
    done = skewbench(folder, "run", "tiny.yaml", "--no-report")
    assert done.returncode == 0, done.stderr
    return folder


def skewbench(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, timeout=180)


def runs(folder: Path) -> list[object]:
    """Every run of the experiment, through MLflow's own client."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/skewbench-results/mlflow.db")
    experiments = [e for e in client.search_experiments() if e.name.endswith("tiny")]
    return list(client.search_runs([e.experiment_id for e in experiments]))


def test_a_run_fills_mlflow_and_sync_then_has_nothing_to_do(place):
    found = runs(place)
    assert len(found) == 6 + 3 + 1  # one per cell, a skipped one among them, under one per configuration; and one for the suite
    assert sum("mlflow.parentRunId" in run.data.tags for run in found) == 6
    again = skewbench(place, "sync", "tiny.yaml")
    assert (again.returncode, "0 cells written, 6 already there" in again.stdout) == (0, True)
    assert len(runs(place)) == 10


def test_a_part_of_the_seeds_never_shrinks_a_configuration(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SUITE)
    only = ("run", "tiny.yaml", "--no-report", "--only", "method=none")
    skewbench(tmp_path, *only, "--no-tracker")
    skewbench(tmp_path, *only, "--seeds", "1")
    (parent,) = [run for run in runs(tmp_path) if run.data.tags["bench.level"] == "configuration"]
    assert parent.data.metrics["test/auc.n"] == 2
    before = whole(tmp_path)
    skewbench(tmp_path, *only, "--seeds", "1")
    assert whole(tmp_path) == before


def whole(folder: Path) -> list[object]:
    return [run.to_dictionary() for run in runs(folder)]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_tracker_that_is_away_costs_a_warning_and_no_result(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SUITE)
    uri = f"http://someone:secret@127.0.0.1:{free_port()}"
    done = skewbench(tmp_path, "run", "tiny.yaml", "--no-report", MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    assert "warning" in done.stderr
    assert "skewbench sync" in done.stderr
    assert "secret" not in done.stderr + done.stdout
    with Ledger(tmp_path / "skewbench-results") as ledger:
        assert [cell.status for cell in ledger.cells("tiny").values()] == ["ok"] * 5
    refused = skewbench(tmp_path, "sync", "tiny.yaml", MLFLOW_TRACKING_URI=uri)
    assert refused.returncode == 1
    later = skewbench(tmp_path, "sync", "tiny.yaml")
    assert "6 cells written" in later.stdout, later.stderr
    assert len(runs(tmp_path)) == 10


@pytest.mark.parametrize(("verb", "number"), [("ui", signal.SIGINT), ("serve", signal.SIGTERM)])
def test_the_page_is_served_on_this_machine_only_and_stops_cleanly(place, verb, number):
    port = free_port()
    command = [sys.executable, "-m", "benchmark", verb, "--port", str(port)]
    with serving(command, place) as process:
        assert fetched(f"http://127.0.0.1:{port}/health", process) == b"OK"
        busy = skewbench(place, verb, "--port", str(port))
        assert (busy.returncode, "--port" in busy.stderr) == (2, True)
        server = psutil.Process(process.pid)
        started = [server, *server.children(recursive=True)]
        process.send_signal(number)  # to this process alone, not to the server as a terminal would
        process.communicate(timeout=120)
    assert process.returncode == 0
    assert not [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("small_disk", ["256k"], indirect=True)
def test_a_tracker_whose_disk_is_full_is_said_and_filled_when_there_is_room(place, small_disk):
    uri = {"MLFLOW_TRACKING_URI": f"sqlite:///{small_disk}/mlflow.db"}
    full = skewbench(place, "run", "tiny.yaml", "--no-report", **uri)
    assert full.returncode == 0, "all cells are done: the tracker is no reason to fail"
    assert "make room there" in full.stderr, full.stderr
    assert "Traceback" not in full.stderr
    told = skewbench(place, "status", **uri)
    assert f"5 runs wait for {uri['MLFLOW_TRACKING_URI']}" in told.stdout
    assert "disk is full" in told.stdout
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert "6 cells written" in skewbench(place, "sync", "tiny.yaml", **uri).stdout


@contextmanager
def serving(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, of which nothing is left in the end, come what may."""
    options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def fetched(url: str, process: subprocess.Popen[str]) -> bytes:
    for _ in range(120):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at {url}")
