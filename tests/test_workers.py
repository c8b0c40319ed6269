"""Worker processes: every way a stage can go wrong, provoked by its real cause; siblings finish; nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import small
from test_run import contents

from benchmark import registry
from benchmark.execute.pool import Pool, WorkerError
from benchmark.places import default_folders
from benchmark.run import Interrupted
from benchmark.scoring import retry
from benchmark.tasks import Limits, Slot

TROUBLE = Path(__file__).parent / "trouble.py"

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def pool(store: Path, *, workers: int = 1, device: str = "cpu") -> Iterator[Pool]:
    registry.load_folder(TROUBLE)
    slots = [Slot(f"worker {index}", device) for index in range(workers)]
    with contextlib.closing(Pool(slots, store, default_folders(None), plugins=[TROUBLE])) as engine:
        yield engine


def trouble(kind: str, **more: Any) -> dict[str, Any]:
    return {"trouble": {"kind_of": kind, **more}}


def run(store: Path, methods: list[Any], *, workers: int = 1, **how: Any) -> dict[str, Any]:
    """Cells of these methods through real workers: their results by method and kind of trouble."""
    with pool(store, workers=workers) as engine:
        done = small.run(store, small.cells(methods), engine, **how)
    return {str(cell.attributes.get("method.kind_of", cell.method)): cell for cell in done.cells}


def test_workers_compute_the_same_bits_as_this_process_in_any_number(tmp_path):
    registry.load_folder(TROUBLE)
    small.run(tmp_path / "inline", small.cells())
    for number in (1, 2):
        with pool(tmp_path / str(number), workers=number) as engine:
            small.run(tmp_path / str(number), small.cells(), engine)
        assert contents(tmp_path / str(number)) == contents(tmp_path / "inline")
    assert not list((tmp_path / "1" / "logs").iterdir()), "workers that have nothing to tell leave no log"


@pytest.mark.parametrize(
    ("kind", "limits", "reason"),
    [
        ("hang", Limits(seconds=8), "timeout: stopped at its time limit of 8 s"),
        ("raise", Limits(), "error (RuntimeError): something is wrong here"),
        ("segfault", Limits(), "crashed (SIGSEGV)"),
        ("memory", Limits(memory_mib=1500), "out-of-memory-host"),
        ("leave", Limits(), "exited (7)"),
        ("kill", Limits(), "killed (SIGKILL)"),
    ],
)
def test_a_failure_is_typed_within_its_limit_and_siblings_finish(tmp_path, kind, limits, reason):
    begun = time.monotonic()
    cells = run(tmp_path, ["none", trouble(kind), "ros"], limits=limits)
    assert time.monotonic() - begun < 60
    assert cells[kind].status == "failed"
    assert cells[kind].reason.startswith(reason)
    assert [cells[name].status for name in ("none", "ros")] == ["ok", "ok"]
    planned, ledger = small.plan(tmp_path, small.cells(["none", trouble(kind), "ros"]))
    with ledger:
        assert [cell.state for cell in planned.cells] == ["done", "failed", "done"]
        assert retry(planned, ledger, "no-such-kind") == 0
        assert retry(planned, ledger, reason.partition(":")[0]) == 1


def test_a_crash_leaves_the_place_in_the_log(tmp_path):
    cells = run(tmp_path, [trouble("segfault")])
    assert "Segmentation fault" in cells["segfault"].log_tail
    assert "_segfault" in cells["segfault"].log_tail


def test_a_time_limit_ends_whatever_the_stage_has_started(tmp_path):
    mark = tmp_path / "pid"
    cells = run(tmp_path, [trouble("child", mark=str(mark))], limits=Limits(seconds=8))
    assert cells["child"].reason.startswith("timeout")
    assert is_gone(int(mark.read_text())), "a child that had left the session survived"


def is_gone(pid: int, *, seconds: float = 5) -> bool:
    """Whether a process ends within some seconds; one that nobody has reaped yet has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
                continue
        return True
    return False


def test_a_worker_killed_from_outside_costs_its_stage_only(tmp_path):
    mark = tmp_path / "pid"
    registry.load_folder(TROUBLE)
    script = (
        "import sys, time, os, signal, pathlib; mark = pathlib.Path(sys.argv[1])\n"
        "while not (mark.exists() and mark.read_text()): time.sleep(0.05)\n"
        "os.kill(int(mark.read_text()), signal.SIGKILL)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(mark)]):
        cells = run(tmp_path, [trouble("sleep", mark=str(mark)), "none"])
    assert cells["sleep"].reason == "killed (SIGKILL): the worker was killed from outside by SIGKILL"
    assert cells["none"].status == "ok"


def memory_group() -> Path:
    """A control group for memory of our own, under version 1 or 2; skips where we may not make one."""
    for root, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")):
        group = root / f"skewbench-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            (group / limit).write_text(str(1500 * 2**20))
            return group
        group.rmdir()
    pytest.skip("no memory control group can be made here")


def test_the_kernels_out_of_memory_killer_is_told_from_other_kills(tmp_path):
    group = memory_group()
    script = (
        "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
        "sys.path.insert(0, sys.argv[2]); import test_workers as t\n"
        "cells = t.run(pathlib.Path(sys.argv[3]), ['none', t.trouble('memory'), 'ros'])\n"
        "print([(name, cell.status, cell.reason) for name, cell in cells.items()])"
    )
    try:
        command = [sys.executable, "-c", script, str(group), str(TROUBLE.parent), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    finally:
        for _ in range(50):  # the group empties a moment after its last process
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)
    assert "('memory', 'failed', 'out-of-memory-host: the kernel killed the worker" in done.stdout
    assert done.stdout.count("'ok'") == 2


def test_a_worker_that_cannot_start_says_why(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import sys; print('no room for it', file=sys.stderr); raise SystemExit(3)")
    slots = [Slot("worker 1")]
    engine = Pool(slots, tmp_path, default_folders(None), plugins=[broken])
    with contextlib.closing(engine), pytest.raises(WorkerError, match=r"could not start \(exited \(3\)\)[^\0]*no room for it"):
        small.run(tmp_path, small.cells(["none"]), engine)


def test_a_damaged_parent_is_computed_again(tmp_path):
    some = small.cells(["none"])
    small.run(tmp_path, some, keep_weights=True)
    planned, ledger = small.plan(tmp_path, some)
    expected = contents(tmp_path)
    train, predict = planned.cells[0].work.last.chain
    with ledger:
        weights = tmp_path / ledger.stage(train.key).file.path
        (tmp_path / ledger.stage(predict.key).file.path).unlink()
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(bytes(data))
    with pool(tmp_path) as engine:
        again = small.run(tmp_path, some, engine, keep_weights=True)
    assert again.stages == ["predict", "train", "predict"]
    assert contents(tmp_path) == expected


def test_when_asked_to_stop_what_is_done_is_kept(tmp_path):
    some = small.cells(seeds=range(4), iterations=50)
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 8

    with pool(tmp_path) as engine, pytest.raises(Interrupted):
        small.run(tmp_path, some, engine, should_stop=should_stop)
    planned, ledger = small.plan(tmp_path, some)
    with ledger:
        assert 0 < len(ledger.stages()) < len(planned.stages)
        assert not ledger._db.execute("SELECT * FROM claims").fetchall(), "a claim was left behind"
    small.run(tmp_path, some)
    small.run(tmp_path / "straight", some)
    assert contents(tmp_path) == contents(tmp_path / "straight")


def test_workers_die_with_their_parent(tmp_path):
    mark = tmp_path / "pid"
    script = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import test_workers as t\n"
        "t.run(pathlib.Path(sys.argv[2]), [t.trouble('hang', mark=sys.argv[3])])"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(TROUBLE.parent), str(tmp_path / "store"), str(mark)]) as parent:
        until = time.monotonic() + 60
        while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert is_gone(int(mark.read_text()), seconds=10)
