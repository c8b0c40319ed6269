"""What a night can bring to the command: Ctrl-C, SIGTERM, a full disk, failures. Real processes, real signals, a real small disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_run import contents
from test_workers import TROUBLE, is_gone

from benchmark.ledger import Ledger

pytestmark = pytest.mark.slow

SUITE = """
suite: small
seeds: {seeds}
grid:
  dataset: {{digits: {{size: 8}}}}
  imbalance: {{step: {{ratio: 5, minority: 0.5}}}}
  method: [{methods}]
  model: {{small-cnn: {{width: 2}}}}
recipe: {{iterations: {iterations}, batch: 16}}
metrics: [auc, accuracy]
"""


def write(folder: Path, methods: str, *, seeds: int = 1, iterations: int = 20) -> Path:
    file = folder / "small.yaml"
    file.write_text(SUITE.format(methods=methods, seeds=seeds, iterations=iterations))
    return file


def command(suite: Path, store: Path, *options: str) -> list[str]:
    common = ["--store", str(store), "--plugins", str(TROUBLE), "--no-tracker", "--no-report", "--exec", "fixed"]
    return [sys.executable, "-m", "benchmark", "run", str(suite), *common, *options]


def start(suite: Path, store: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(suite, store, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file: Path) -> int:
    """The process number that a troublesome stage has written."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if file.exists() and file.read_text():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written: the stage never began")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_asked_once_it_keeps_what_is_done_and_says_how_to_go_on(tmp_path, number):
    mark, store = tmp_path / "mark", tmp_path / "store"
    suite = write(tmp_path, f"none, {{trouble: {{kind_of: sleep, mark: '{mark}'}}}}")
    with start(suite, store, "--workers", "1") as process:
        worker = wait_for(mark)
        begun = time.monotonic()
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        took = time.monotonic() - begun
    assert process.returncode == 130
    assert took < 30, "stages in flight have ten seconds to end"
    assert "Interrupt again to stop at once" in told
    assert "issue the same command again to go on" in told
    assert is_gone(worker)
    with Ledger(store) as ledger:
        assert {row.op for row in ledger.stages().values()} == {"train", "predict"}
        assert {row.status for row in ledger.stages().values()} == {"ok"}


def test_asked_twice_it_stops_at_once(tmp_path):
    mark, store = tmp_path / "mark", tmp_path / "store"
    suite = write(tmp_path, f"{{trouble: {{kind_of: sleep, mark: '{mark}'}}}}")
    with start(suite, store, "--workers", "1") as process:
        worker = wait_for(mark)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "Interrupt again" not in process.stderr.readline():
            assert process.poll() is None
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - begun < 8, "the second time nothing is waited for"
    assert is_gone(worker)


def test_stages_that_can_end_in_time_are_finished(tmp_path):
    mark, store = tmp_path / "mark", tmp_path / "store"
    suite = write(tmp_path, f"{{trouble: {{kind_of: linger, mark: '{mark}'}}}}", seeds=4)
    with start(suite, store, "--workers", "1") as process:
        wait_for(mark)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    with Ledger(store) as ledger:
        kept = [row.op for row in ledger.stages().values() if row.status == "ok"]
    assert kept.count("train") >= 1, "the training in flight had ten seconds to end"
    assert len(kept) < 8
    assert subprocess.run(command(suite, store), check=False, capture_output=True).returncode == 0
    subprocess.run(command(suite, tmp_path / "straight"), check=True, capture_output=True)
    assert contents(store) == contents(tmp_path / "straight")


def test_when_its_time_is_over_it_ends_in_good_order(tmp_path):
    mark = tmp_path / "mark"
    suite = write(tmp_path, f"none, {{trouble: {{kind_of: sleep, mark: '{mark}'}}}}")
    done = subprocess.run(
        command(suite, tmp_path / "store", "--stop-after", "15s"), capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 1
    assert "the time of --stop-after is over" in done.stderr


def test_failures_give_exit_code_1_and_are_retried_by_kind(tmp_path):
    store = tmp_path / "store"
    suite = write(tmp_path, "none, {trouble: {kind_of: [raise, segfault]}}")
    done = subprocess.run(command(suite, store), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "FAILED train trouble" in done.stderr
    assert "crashed (SIGSEGV)" in done.stderr
    again = subprocess.run(command(suite, store), capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 1
    assert "FAILED train" not in again.stderr, "failures are not tried again unasked"
    retried = subprocess.run(command(suite, store, "--retry", "failed:crashed"), capture_output=True, text=True, check=False, timeout=120)
    assert retried.returncode == 1
    assert "1 failures to try again" in retried.stderr
    assert retried.stderr.count("FAILED train") == 1


@pytest.mark.parametrize("small_disk", ["4m"], indirect=True)
def test_a_full_disk_is_said_and_damages_nothing(tmp_path, small_disk):
    store = small_disk / "store"
    suite = write(tmp_path, "none, ros, rus, {thresholding: {base: [none, ros]}}", seeds=3)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 * 2**20 - 450 * 1024))
    done = subprocess.run(command(suite, store), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "make room and issue the same command again" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    ballast.unlink()
    with Ledger(store) as ledger:
        assert all(not row.damage for row in ledger.stages().values())
        kept = len(ledger.stages())
    again = subprocess.run(command(suite, store), capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    subprocess.run(command(suite, tmp_path / "straight"), check=True, capture_output=True, timeout=120)
    assert contents(store) == contents(tmp_path / "straight")
    assert kept < len(contents(store))
