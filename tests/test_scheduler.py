"""The scheduler under a clock that tests turn: what was missed is made up for once, nothing runs twice at a time, nothing is lost."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import LedgerError, UserError
from benchmark.jobs import table, work
from benchmark.jobs.scheduler import STOPPED, Scheduler
from benchmark.jobs.table import Job, Table
from benchmark.jobs.work import command, environment, machine, perform

ROOT = Path(__file__).parent.parent
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NIGHT = 1_795_564_800.0
"""2026-11-25 00:00 UTC."""


class Clock:
    """Time as the test says, or running so many times as fast as ours."""

    def __init__(self, at: float, speed: float = 0.0) -> None:
        self.at, self.speed, self.begun = at, speed, time.monotonic()

    def __call__(self) -> float:
        return self.at + self.speed * (time.monotonic() - self.begun)


class Work:
    """A job's work that only remembers."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.done = code, []

    def __call__(self, job, store, log, stop):
        self.done.append(job.name)
        return self.code


def job(name: str = "nightly", cron: str = "0 3 * * *", **changes) -> Job:
    return replace(Job(name, "smoke", cron, "UTC", "/", NIGHT), **changes)


@pytest.fixture
def store(tmp_path):
    Table(tmp_path).add(job())
    return tmp_path


def scheduler(store, at: float, code: int = 0) -> tuple[Scheduler, Work, Clock]:
    clock, worked = Clock(at), Work(code)
    return Scheduler(store, clock=clock, work=worked), worked, clock


def test_a_job_runs_when_it_is_due_and_once(store):
    made, worked, clock = scheduler(store, NIGHT + 2.9 * HOUR)
    assert made.tick() == []
    clock.at = NIGHT + 3 * HOUR
    (ran,) = made.tick()
    assert (ran.due, ran.started, ran.code) == (NIGHT + 3 * HOUR, NIGHT + 3 * HOUR, 0)
    assert made.tick() == []
    clock.at += DAY
    assert len(made.tick()) == 1
    assert worked.done == ["nightly", "nightly"]


def test_runs_that_were_missed_are_made_up_for_by_one(store):
    made, worked, _ = scheduler(store, NIGHT + 10 * DAY)
    (ran,) = made.tick()
    assert ran.due == NIGHT + 3 * HOUR  # since when it was waiting
    assert made.tick() == []
    again, more, _ = scheduler(store, NIGHT + 10 * DAY + MINUTE)  # a new scheduler knows it
    assert again.tick() == []
    assert (worked.done, more.done) == (["nightly"], [])


def test_the_longest_waiting_runs_first(store):
    Table(store).add(job("early", "0 1 * * *"))
    made, worked, _ = scheduler(store, NIGHT + 4 * HOUR)
    made.tick()
    assert worked.done == ["early", "nightly"]


def test_a_job_that_was_running_when_its_scheduler_died_runs_again_at_once(store):
    Table(store).update("nightly", lambda state: replace(state, seen=NIGHT + 3 * HOUR, running=(os.uname().nodename, 2**22 - 1, 5.0)))
    made, worked, _ = scheduler(store, NIGHT + 3.1 * HOUR)
    made.tick()
    assert worked.done == ["nightly"]
    assert made.tick() == []


def test_a_job_that_another_process_runs_is_left_alone(store):
    import psutil

    owner = (os.uname().nodename, os.getpid(), psutil.Process().create_time())
    Table(store).update("nightly", lambda state: replace(state, running=owner))
    made, worked, _ = scheduler(store, NIGHT + 9 * DAY)
    assert made.tick() == []
    assert worked.done == []


def test_two_stores_do_not_run_at_the_same_time_on_one_machine(store, tmp_path):
    made, worked, _ = scheduler(store, NIGHT + 4 * HOUR)
    with machine() as is_ours:
        assert is_ours
        assert made.tick() == []
        assert made.run(job(), by_hand=True) is None
    assert worked.done == []
    assert len(made.tick()) == 1  # it was not lost


def test_what_another_scheduler_of_the_store_was_quicker_to_run_is_not_run_again(store):
    first, _, _ = scheduler(store, NIGHT + 4 * HOUR)
    second, worked, _ = scheduler(store, NIGHT + 4 * HOUR)
    ((due, _),) = second.due()
    first.tick()
    assert second.run(due) is None
    assert worked.done == []


def test_a_thread_does_the_schedule_of_a_day_in_a_second(store):
    Table(store).add(job("hourly", "0 * * * *"))
    worked = Work()
    made = Scheduler(store, clock=Clock(NIGHT, speed=DAY), work=worked, poll=0.005)
    with made:  # as beside a server
        _until(lambda: len(worked.done) >= 12)
    assert {"nightly", "hourly"} <= set(worked.done)
    starts = [ran.started for ran in Table(store).state("hourly").ran]
    assert len(starts) == len({start // HOUR for start in starts}), "no hour was run twice"


def test_stopping_interrupts_a_run_that_begins_anew_with_the_next_start(store):
    begun = threading.Event()

    def waits(job, store, log, stop):
        begun.set()
        stop.wait(20)
        return -15

    made = Scheduler(store, clock=Clock(NIGHT + 4 * HOUR), work=waits, poll=0.01)
    made.start()
    assert begun.wait(20)
    made.stop()
    assert Table(store).state("nightly").last.code == STOPPED
    again, worked, _ = scheduler(store, NIGHT + 4.1 * HOUR)
    again.tick()
    assert worked.done == ["nightly"]


def test_a_problem_of_the_table_is_said_and_the_thread_goes_on(store, caplog):
    made = Scheduler(store, clock=Clock(NIGHT + 4 * HOUR), work=Work(), poll=0.01)
    text = made.table.file.read_text()
    made.table.file.write_text("{")
    made.start()
    while not caplog.records:
        time.sleep(0.01)
    made.table.file.write_text(text)
    while not Table(store).state("nightly").ran:
        time.sleep(0.01)
    made.stop()
    assert "cannot be read" in caplog.text


def test_the_table_is_private_json_that_is_replaced_whole(store):
    jobs = Table(store)
    assert stat.S_IMODE(jobs.file.stat().st_mode) == 0o600
    assert json.loads(jobs.file.read_text())["version"] == 1
    with pytest.raises(UserError, match="is a job 'nightly' already"):
        jobs.add(job())
    with pytest.raises(UserError, match="Did you mean 'nightly'"):
        jobs.job("nihgtly")
    with pytest.raises(UserError, match="cannot name a job"):
        jobs.add(job("../x"))
    jobs.remove("nightly")
    jobs.update("nightly", lambda state: state)  # as by a run that goes on meanwhile
    assert jobs.jobs() == {}
    jobs.file.write_text('{"version": 9}')
    with pytest.raises(LedgerError, match="another version"):
        jobs.jobs()


def test_jobs_and_their_runs_survive_the_file(store, monkeypatch):
    monkeypatch.setattr(table, "KEPT_RUNS", 3)
    Table(store).add(job("x", arguments=("--seeds", "2"), environment={"A": "ü"}, webhook="https://h/s"))
    made, _, clock = scheduler(store, NIGHT, code=3)
    for day in range(5):
        clock.at = NIGHT + day * DAY + 5 * HOUR
        made.tick()
    assert Table(store).job("x") == job("x", arguments=("--seeds", "2"), environment={"A": "ü"}, webhook="https://h/s")
    assert len(Table(store).state("x").ran) == 3
    assert Table(store).state("x").last.code == 3


def test_a_job_is_a_command_without_secrets(tmp_path):
    secret = job(webhook="https://h/s3cret", gate=True, arguments=("--quality", "1pp"), environment={"SKEWBENCH_DATA": "/d"})
    words = command(secret, tmp_path)
    assert words[1:] == ["-m", "benchmark", "gate", "smoke", "--against", "main", "--store", str(tmp_path), "--quality", "1pp"]
    made = environment(secret, {"PATH": "/bin", "SKEWBENCH_DATA": "/old"})
    assert (made["SKEWBENCH_WEBHOOK"], made["SKEWBENCH_DATA"], made["PATH"]) == ("https://h/s3cret", "/d", "/bin")
    assert command(job(), tmp_path)[3:5] == ["run", "smoke"]


def script(monkeypatch, text: str) -> None:
    monkeypatch.setattr(work, "command", lambda job, store: [sys.executable, "-c", text])


def test_a_run_has_its_output_in_a_file_and_its_exit_code(tmp_path, monkeypatch):
    script(monkeypatch, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)")
    log = tmp_path / "logs" / "x.log"
    assert perform(job(), tmp_path, log, threading.Event()) == 4
    assert sorted(log.read_text().split()) == ["err", "out"]


def test_a_run_that_is_to_stop_is_asked_first_and_killed_with_its_children_then(tmp_path, monkeypatch):
    script(monkeypatch, "import signal, subprocess, sys, time\n"
           "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
           "print(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)")  # fmt: skip
    monkeypatch.setattr(work, "GRACE_SECONDS", 0.2)
    stop, log = threading.Event(), tmp_path / "x.log"
    threading.Thread(target=lambda: (_until(lambda: log.exists() and log.read_text().strip()), stop.set())).start()
    assert perform(job(), tmp_path, log, stop) == -9
    child = Path(f"/proc/{log.read_text().strip()}/stat")
    _until(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def _until(is_so) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_that_breaks_down_is_due_again_in_the_same_process(store):
    def breaks(job, store, log, stop):
        raise OSError("no more processes")

    made = Scheduler(store, clock=Clock(NIGHT + 4 * HOUR), work=breaks)
    with pytest.raises(OSError, match="no more processes"):
        made.tick()
    assert Table(store).state("nightly").running is None
    made.work = worked = Work()
    assert [ran.due for ran in made.tick()] == [NIGHT + 3 * HOUR]
    assert worked.done == ["nightly"]


def test_a_run_whose_end_a_full_disk_does_not_take_is_due_again_when_there_is_room(store, monkeypatch):
    full = threading.Event()

    def write(target, data):
        if full.is_set():
            raise OSError("no space left on device")
        target.write_bytes(data)

    monkeypatch.setattr(table, "write_bytes", write)
    made = Scheduler(store, clock=Clock(NIGHT + 4 * HOUR), work=lambda *_: full.set() or 0)
    for _ in range(2):
        with pytest.raises(OSError, match="no space"):
            made.tick()
    full.clear()
    made.work = worked = Work()
    made.tick()
    assert worked.done == ["nightly"]


def test_a_job_that_was_removed_while_another_one_ran_is_not_run(store):
    Table(store).add(job("early", "0 1 * * *"))
    Table(store).add(job("later", "0 2 * * *"))
    done = []

    def removes(job_, *_):
        done.append(job_.name)
        for name in ("nightly", "later"):
            Table(store).remove(name)
        Table(store).add(job("later", "0 2 * * *", added=NIGHT + 4 * HOUR))  # another one of the same name
        return 0

    made = Scheduler(store, clock=Clock(NIGHT + 4 * HOUR), work=removes)
    made.tick()
    assert done == ["early"]
    assert made.run(job(), by_hand=True) is None


def test_a_run_waits_for_the_machine_if_it_is_told_to_and_until_it_is_to_stop(store, monkeypatch):
    monkeypatch.setattr(work, "WAIT_SECONDS", 0.01)
    made, worked, _ = scheduler(store, NIGHT)
    with ThreadPoolExecutor(1) as pool:
        with machine():
            waiting = pool.submit(made.run, job(), by_hand=True, wait=True)
            time.sleep(0.05)
            assert worked.done == []
        assert waiting.result(20) is not None
        with machine():
            waiting = pool.submit(made.run, job(), by_hand=True, wait=True)
            made.stop()
            assert waiting.result(20) is None
    assert worked.done == ["nightly"]


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_the_machine_free(tmp_path):
    text = "import time\nfrom benchmark.jobs.work import machine\nwith machine() as ours:\n    print(ours, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout.readline().strip() == "True"
        with machine() as is_ours:
            assert not is_ours
        holder.kill()
    with machine() as is_ours:
        assert is_ours
