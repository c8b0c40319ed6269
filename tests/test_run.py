"""Plan, run and ledger together: nothing twice, nothing lost, every change seen."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import small

from benchmark import registry
from benchmark.arrays import DamagedFile
from benchmark.cells import Cell
from benchmark.errors import LedgerError
from benchmark.evaluate import scoring_key
from benchmark.identity import source_key
from benchmark.ledger import Ledger
from benchmark.metrics import Metric
from benchmark.places import default_folders
from benchmark.plan import make_plan, needed
from benchmark.results import suite_results
from benchmark.run import Runner
from benchmark.scoring import retry
from benchmark.spec import Suite


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
    monkeypatch.setattr(registry, "remembered_key", lambda path: "edited" if path.name == "ros.py" else real(path))
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
    monkeypatch.setattr(registry, "remembered_key", lambda path: "edited" if path.name == "thresholding.py" else real(path))
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


def test_a_store_that_is_only_looked_at_is_not_touched(tmp_path):
    some = small.cells(["none"])
    small.run(tmp_path, some)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix in (".sqlite", ".safetensors", ".lock")}
    with Ledger(tmp_path, writable=False) as ledger:
        assert len(ledger.stages()) == 2
        assert len(ledger.cells("small")) == 1
        with pytest.raises(LedgerError, match="readonly"):
            ledger.forget(["x"])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_claim_holds_while_its_process_lives(tmp_path):
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))
    key = planned.cells[0].work.last.key
    script = "import sys, pathlib; from benchmark.ledger import Ledger; print(Ledger(pathlib.Path(sys.argv[1])).claim(sys.argv[2]))"
    with subprocess.Popen(
        [sys.executable, "-uc", script + "; sys.stdin.read()", str(tmp_path), key], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"True\n"
        assert not ledger.claim(key)
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert ledger.claim(key)


RUN = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
import small
print("ready", flush=True)
done = small.run(pathlib.Path(sys.argv[1]), small.cells(seeds=range(10), iterations=100))
print(len(done.stages), flush=True)
"""


def start(store: Path) -> subprocess.Popen[bytes]:
    """A process that runs the suite of the crash tests; returns once its imports are done."""
    process = subprocess.Popen([sys.executable, "-c", RUN, str(store), str(Path(__file__).parent)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def work(store: Path, ready: Connection) -> None:
    """What `start` runs, in a process that is forked where all is imported: twenty imports of torch were two minutes."""
    ready.send(True)
    small.run(store, small.cells(seeds=range(10), iterations=100))


@contextmanager
def at_work(store: Path) -> Iterator[BaseProcess]:
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])  # which it finds by PYTHONPATH only
    ours, theirs = forks.Pipe()
    process = forks.Process(target=work, args=(store, theirs))
    process.start()
    assert ours.poll(60)
    yield process
    process.join()


def left_to_do(store: Path, some: list[Cell]) -> int:
    planned, ledger = small.plan(store, some)
    with ledger:
        return len(needed(planned, ledger.stages()))


@pytest.mark.slow
def test_kill_at_random_moments_then_go_on(tmp_path, monkeypatch):
    """Twenty kills of processes at work, at random moments; the ledger ends like an undisturbed one, to the bit, no file left over."""
    some = small.cells(seeds=range(10), iterations=100)
    small.run(tmp_path / "undisturbed", some)
    expected = contents(tmp_path / "undisturbed")
    moments = random.Random(7)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    for _ in range(20):
        with at_work(tmp_path / "killed") as process:
            time.sleep(moments.uniform(0.0, 0.15))
            process.kill()
        assert process.exitcode == -signal.SIGKILL
        assert left_to_do(tmp_path / "killed", some) > 0, "the suite is too short: this kill hit a process with nothing left to do"
    small.run(tmp_path / "killed", some)
    assert contents(tmp_path / "killed") == expected
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def files(store: Path) -> set[str]:
    return {path.relative_to(store).as_posix() for path in (store / "arrays").rglob("*") if path.is_file()}


class Killed(BaseException):
    """Stands for the death of the process: nothing may catch it."""


@pytest.mark.parametrize("point", ["after the arrays", "after the row", "before the weights are deleted"])
def test_a_kill_at_each_step_of_recording_costs_at_most_the_stage_in_flight(tmp_path, monkeypatch, point):
    some = small.cells(["none", "ros"])
    small.run(tmp_path / "undisturbed", some)
    from benchmark.execute import perform

    real_write, real_unlink, real_record = perform.write_arrays, Path.unlink, Ledger.record

    def write_then_die(*arguments):
        real_write(*arguments)
        raise Killed

    def record_then_die(*arguments, **options):
        real_record(*arguments, **options)
        raise Killed

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        if point == "after the arrays":
            patch.setattr(perform, "write_arrays", write_then_die)
        elif point == "after the row":
            patch.setattr(Ledger, "record", record_then_die)
        else:
            patch.setattr(Path, "unlink", die)
        with pytest.raises(Killed):
            small.run(tmp_path / "killed", some)
    assert Path.unlink is real_unlink
    small.run(tmp_path / "killed", some)
    small.run(tmp_path / "killed", some)  # a sweep at the start of a run clears what a kill left
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


@pytest.mark.slow
def test_two_processes_on_one_store_share_the_work(tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    done = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(done) == 30 + 30 + 20, "a stage was computed twice"
    assert min(done) > 0, "one process did everything"
    small.run(tmp_path / "alone", small.cells(seeds=range(10), iterations=100))
    assert contents(tmp_path) == contents(tmp_path / "alone")


@pytest.mark.slow
def test_many_processes_may_open_a_fresh_store_at_once(tmp_path):
    script = "import sys, pathlib; from benchmark.ledger import Ledger; sys.stdin.read(1); Ledger(pathlib.Path(sys.argv[1]))"
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "new")], stdin=subprocess.PIPE) for _ in range(8)]
    for process in processes:
        process.communicate(b"x")
    assert [process.returncode for process in processes] == [0] * 8


def test_a_damaged_last_stage_costs_only_itself(tmp_path):
    some = small.cells(["none", {"thresholding": {}}])
    small.run(tmp_path, some)
    planned, ledger = small.plan(tmp_path, some)
    with ledger:
        row = ledger.stage(planned.cells[1].work.last.key)
    file = tmp_path / row.file.path
    file.write_bytes(file.read_bytes()[:-3])
    assert left_to_do(tmp_path, some) == 1
    assert small.run(tmp_path, some).stages == ["adjust"]


def test_stages_towards_which_work_leads_are_not_prepared_for_twice(tmp_path):
    """A released parent is not computed again for a child that another process has finished meanwhile."""
    some = small.cells(["none"])
    small.run(tmp_path, some)
    planned, ledger = small.plan(tmp_path, some)
    train, predict = planned.cells[0].work.last.chain
    with ledger:
        assert ledger.stage(train.key).file is None
        assert not ledger.claim(train.key, leads_to={train.key: [predict.key]})


def test_a_metric_that_fails_is_a_failed_cell(tmp_path):
    done = small.run(tmp_path, small.cells(["none"]))
    assert done.cells[0].status == "ok"
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Broken(Metric):
        """Never works."""

        name = "broken"

        def score(self, predictions):
            raise RuntimeError("no such thing")

    for expected in (1, 0):  # recorded once, not at every run
        recorder = small.Recorder()
        Runner(planned, ledger, [Broken()], small.inline(tmp_path), recorder).run()
        assert len(recorder.cells) == expected
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))
    assert (planned.cells[0].state, planned.cells[0].reason) == ("done", "to be scored by other metrics")
    made = make_plan("small", small.cells(["none"]), default_folders(None), ledger, scoring=scoring_key([Broken()]))
    assert (made.cells[0].state, "no such thing" in made.cells[0].reason) == ("failed", True)
    assert retry(planned, ledger, None) == 1
    assert small.run(tmp_path, small.cells(["none"])).cells[0].status == "ok"


def test_results_are_scored_by_the_metrics_that_are_asked_for(tmp_path):
    """A metric that was not there when the cell ran: scored from its predictions, without training."""
    small.run(tmp_path, small.cells(["none"]))
    planned, ledger = small.plan(tmp_path, small.cells(["none"]))
    suite = Suite.__new__(Suite)
    for name, value in {"name": "small", "question": "", "metrics": (registry.build("metrics", "ece"),), "show_per_class": ()}.items():
        object.__setattr__(suite, name, value)
    object.__setattr__(suite, "baseline", "none")
    object.__setattr__(suite, "text", "")
    (cell,) = suite_results(suite, planned, ledger, command="").cells
    assert cell.status == "ok"
    assert cell.metrics.keys() == {"ece"}
