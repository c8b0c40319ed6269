"""Plan, run and ledger together: nothing twice, nothing lost, every change seen."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small

from benchmark import registry
from benchmark.arrays import DamagedFile
from benchmark.errors import LedgerError
from benchmark.identity import source_key
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.plan import needed
from benchmark.run import Runner, retry


def contents(store: Path) -> dict[str, tuple[object, ...]]:
    """What a ledger holds, times and places aside: stage rows with the bytes of their arrays, and cells with their metrics."""
    with Ledger(store) as ledger:
        rows = {key: ledger.stage(key) for key in ledger.stages()}
        stages = {k: (r.op, r.status, r.file and r.file.sha256, str(r.facts)) for k, r in rows.items() if r is not None}
        cells = {k: (c.status, str(c.metrics), c.confusion_KK, c.seed) for k, c in ledger.cells("small").items()}
    return {**stages, **cells}


def test_shared_stages_are_computed_once(tmp_path):
    done = small.run(tmp_path, small.cells())
    assert done.stages.count("train") == 3
    assert done.stages.count("predict") == 3
    assert done.stages.count("adjust") == 2
    assert [cell.status for cell in done.cells] == ["ok"] * 5


def test_a_second_run_does_nothing(tmp_path):
    small.run(tmp_path, small.cells())
    again = small.run(tmp_path, small.cells())
    assert again.stages == []
    assert again.cells == []


def test_the_plan_says_what_is_done_new_and_skipped(tmp_path):
    some = small.cells(["none", "ros"])
    small.run(tmp_path, some[:1])
    planned, _ = small.plan(tmp_path, [*some, dataclasses.replace(some[0], skip="exclude #1: no")])
    assert [cell.state for cell in planned.cells] == ["done", "new", "skipped"]
    assert planned.cells[2].reason == "exclude #1: no"


def test_thresholding_leaves_auc_alone_and_changes_accuracy(tmp_path):
    done = small.run(tmp_path, small.cells(iterations=30))
    metrics = {cell.attributes["method"] + str(cell.attributes.get("method.base", "")): cell.metrics for cell in done.cells}
    assert metrics["thresholdingnone"]["auc"] == pytest.approx(metrics["none"]["auc"], abs=1e-6)
    assert metrics["thresholdingnone"]["accuracy"] != metrics["none"]["accuracy"]


def test_adjusting_is_subtracting_log_priors_from_stored_scores(tmp_path):
    small.run(tmp_path, small.cells(["none", {"thresholding": {}}]))
    planned, ledger = small.plan(tmp_path, small.cells(["none", {"thresholding": {}}]))
    plain, adjusted = (ledger.arrays(ledger.stage(cell.work.last.key)) for cell in planned.cells)
    counts = np.array(planned.cells[0].work.class_counts)
    assert adjusted["test.scores"] == pytest.approx(plain["test.scores"] - np.log(counts / counts.sum()), abs=1e-5)


def test_methods_start_from_the_same_weights_and_images(tmp_path):
    planned, _ = small.plan(tmp_path, small.cells(["none", "class-weights"]))
    first, second = (cell.work.last.chain[0].config for cell in planned.cells)
    assert {k for k in first if first[k] != second[k]} == {"loss"}


def test_order_of_cells_changes_no_bit(tmp_path):
    some = small.cells(seeds=(0, 1))
    small.run(tmp_path / "a", some)
    small.run(tmp_path / "b", some[::-1])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_changing_a_methods_source_makes_exactly_its_cells_stale(tmp_path, monkeypatch):
    some = small.cells()
    small.run(tmp_path, some)
    real = source_key
    monkeypatch.setattr(registry, "source_key", lambda path: "edited" if path.name == "ros.py" else real(path))
    fresh = small.cells()
    planned, ledger = small.plan(tmp_path, fresh)
    states = {cell.cell.config.method.text: (cell.state, cell.reason) for cell in planned.cells}
    stale = {text for text, (state, _) in states.items() if state == "stale"}
    assert stale == {text for text in states if "ros" in text}
    assert {states[text][1] for text in stale} == {"code changed: methods:ros"}
    assert sorted(stage.op for stage in needed(planned, ledger.stages())) == ["adjust", "predict", "train"]


def test_changing_thresholding_trains_nothing(tmp_path, monkeypatch):
    small.run(tmp_path, small.cells())
    real = source_key
    monkeypatch.setattr(registry, "source_key", lambda path: "edited" if path.name == "thresholding.py" else real(path))
    assert small.run(tmp_path, small.cells()).stages == ["adjust", "adjust"]


def test_a_failure_is_a_result_that_leaves_others_alone(tmp_path):
    bad = {"optimizer": {"sgd": {"lr": 1e30}}}
    done = small.run(tmp_path, small.cells(["none", {"thresholding": {}}], **bad) + small.cells(["none"]))
    assert [cell.status for cell in done.cells] == ["failed", "blocked", "ok"]
    assert done.cells[0].reason.startswith("not-finite: the training loss is not finite")
    assert "NotFinite" in done.cells[0].log_tail
    assert done.cells[1].reason.startswith("needs the train stage of 'none', which failed (not-finite")


def test_failures_are_tried_again_only_when_asked(tmp_path):
    some = small.cells(["none"], optimizer={"sgd": {"lr": 1e30}})
    small.run(tmp_path, some)
    assert small.run(tmp_path, some).stages == []
    planned, ledger = small.plan(tmp_path, some)
    assert planned.cells[0].state == "failed"
    assert retry(planned, ledger, "out-of-memory") == 0
    assert retry(planned, ledger, "not-finite") == 1
    assert small.run(tmp_path, some).stages == ["train"]


def test_a_truncated_array_is_seen_and_computed_again(tmp_path):
    some = small.cells(["none", {"thresholding": {}}])
    small.run(tmp_path, some)
    before = contents(tmp_path)
    for file in (tmp_path / "arrays").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-10])
    planned, _ = small.plan(tmp_path, some)
    assert {cell.state for cell in planned.cells} == {"stale"}
    assert "damaged" in planned.cells[0].reason
    small.run(tmp_path, some)
    assert contents(tmp_path) == before


def test_a_flipped_bit_is_seen_when_the_array_is_read(tmp_path):
    small.run(tmp_path, small.cells(["none"]))
    (file,) = (tmp_path / "arrays").rglob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(bytes(data))
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))
    with pytest.raises(DamagedFile, match="checksum"):
        ledger.arrays(ledger.stage(planned.cells[0].work.last.key))
    again = small.run(tmp_path, small.cells(["none", {"thresholding": {}}]))
    assert again.stages == ["train", "predict", "adjust"]


def test_weights_are_let_go_unless_they_are_asked_for(tmp_path):
    small.run(tmp_path / "a", small.cells(["none"]))
    small.run(tmp_path / "b", small.cells(["none"]), keep_weights=True)
    assert len(list((tmp_path / "a").rglob("*.safetensors"))) == 1
    assert len(list((tmp_path / "b").rglob("*.safetensors"))) == 2


def test_a_ledger_of_another_version_is_refused(tmp_path):
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(LedgerError, match="schema 99"):
        Ledger(tmp_path)


def test_a_damaged_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, however one looks at it" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        Ledger(tmp_path)


def test_a_claim_holds_while_its_process_lives(tmp_path):
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))
    key = planned.cells[0].work.last.key
    script = (
        "import sys, pathlib; from benchmark.ledger import Ledger; print(Ledger(pathlib.Path(sys.argv[1])).claim(sys.argv[2], purpose='x'))"
    )
    with subprocess.Popen(
        [sys.executable, "-uc", script + "; sys.stdin.read()", str(tmp_path), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"True\n"
        assert not ledger.claim(key, purpose="x")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert ledger.claim(key, purpose="x")


RUN = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
import small
print("ready", flush=True)
small.run(pathlib.Path(sys.argv[1]), small.cells(seeds=range(10), iterations=60))
print("done", flush=True)
"""


def start(store: Path) -> subprocess.Popen[bytes]:
    """A process that runs the suite of the crash tests; returns once its imports are done."""
    process = subprocess.Popen([sys.executable, "-c", RUN, str(store), str(Path(__file__).parent)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.slow
def test_kill_at_random_moments_then_go_on(tmp_path):
    """Twenty kills of whole processes at random moments; the ledger ends like an undisturbed one, to the bit."""
    some = small.cells(seeds=range(10), iterations=60)  # ten kills or so are needed to get through it
    small.run(tmp_path / "undisturbed", some)
    expected = contents(tmp_path / "undisturbed")
    moments = random.Random(7)
    kills = 0
    while kills < 20:
        with start(tmp_path / "killed") as process:
            time.sleep(moments.uniform(0.0, 0.25))
            process.kill()
            process.wait()
        kills += 1
    small.run(tmp_path / "killed", some)
    assert contents(tmp_path / "killed") == expected


@pytest.mark.slow
def test_two_processes_on_one_store_share_the_work(tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    for process in processes:
        out, _ = process.communicate(timeout=120)
        assert out == b"done\n"
        assert process.returncode == 0
    small.run(tmp_path / "alone", small.cells(seeds=range(10), iterations=60))
    assert contents(tmp_path) == contents(tmp_path / "alone")


def test_a_metric_that_fails_is_a_failed_cell(tmp_path):
    done = small.run(tmp_path, small.cells(["none"]))
    assert done.cells[0].status == "ok"
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Broken(Metric):
        """Never works."""

        name = "broken"

        def score(self, predictions):
            raise ValueError("no such thing")

    recorder = small.Recorder()
    Runner(planned, ledger, [Broken()], lambda *_: None, dict, recorder).run()
    assert recorder.cells[0].status == "failed"
    assert "no such thing" in recorder.cells[0].reason
