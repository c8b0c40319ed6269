"""A server as our process: waited for, with tasks beside it, gone when asked; tried on a small server that can misbehave."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from test_workers import is_gone

from benchmark.errors import UserError
from tests.faulty import free_port
from trackers import guard
from trackers.location import TrackerError
from trackers.service import Service, check, is_healthy, serve, serving

FAKE = """
import http.server, os, signal, subprocess, sys, time
how, port = sys.argv[1], int(sys.argv[2])
if how == "broken":
    sys.exit("cannot open postgresql://me:hunter2@db/bench")
if how == "mute":
    time.sleep(60)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
    print("child", child.pid, flush=True)

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/health": b"OK", "/version": b"3.17.2"}
        self.send_response(200 if self.path in known else 404)
        self.end_headers()
        self.wfile.write(known.get(self.path, b""))
    def do_POST(self):
        self.send_response(200 if self.headers["Authorization"] == "Basic YW5uOnNlY3JldA==" else 401)
        self.end_headers()
        self.wfile.write(b"{}")

http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def fake(folder: Path, how: str = "well") -> Service:
    port = free_port()
    return Service([sys.executable, "-S", "-c", FAKE, how, str(port)], dict(os.environ), "127.0.0.1", port, folder / "log")


def test_it_serves_until_interrupted_with_what_runs_beside_it(tmp_path):
    """Tasks begin once it answers, end in turn before it does; Ctrl-C is no failure."""
    service, told = fake(tmp_path), []

    @contextlib.contextmanager
    def beside(name):
        told.append((name, "begins", is_healthy(service.url)))
        yield
        told.append((name, "ends", is_healthy(service.url)))

    def ready(url):
        told.append(url)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    assert serve(service, ready=ready, beside=[beside("a"), beside("b")]) == 0
    assert told == [("a", "begins", True), ("b", "begins", True), service.url, ("b", "ends", True), ("a", "ends", True)]
    assert not is_healthy(service.url)


def test_a_server_that_does_not_start_is_said_with_its_last_words_but_no_password(tmp_path):
    with pytest.raises(TrackerError, match="ended at once") as raised, serving(fake(tmp_path, "broken")):
        pass
    assert "cannot open postgresql://me:***@db/bench" in str(raised.value)
    assert str(tmp_path / "log") in str(raised.value)


def test_one_that_never_answers_is_given_up_and_leaves_nothing(tmp_path):
    service = fake(tmp_path, "mute")
    with pytest.raises(TrackerError, match="gave no answer in 0.5 s"), serving(service, seconds=0.5):
        pass
    assert not [child for child in psutil.Process().children() if str(service.port) in child.cmdline()]


def test_nothing_is_left_of_one_that_ignores_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("trackers.guard.STOP_SECONDS", 0.3)
    with serving(fake(tmp_path, "stubborn")) as process:
        child = int((tmp_path / "log").read_text().split()[1])
    assert process.returncode == -signal.SIGKILL
    assert is_gone(child)


def test_nothing_is_left_when_the_one_who_serves_is_killed(tmp_path):
    """`kill -9` of `skewbench serve`, as of a scheduler or of the kernel short of memory."""
    service = fake(tmp_path)
    script = f"""
import os, pathlib, time
from trackers.service import Service, serving
service = Service({service.command!r}, dict(os.environ), {service.host!r}, {service.port}, pathlib.Path({str(service.log)!r}))
with serving(service) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
    until = time.monotonic() + 30
    while time.monotonic() < until and not is_gone(pid):
        time.sleep(0.05)
    assert is_gone(pid)
    assert not is_healthy(service.url)


def test_the_guard_waits_for_no_server_that_has_ended():
    """One that nobody has waited for is still listed: after a second Ctrl-C it cost ten seconds."""
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        begun = time.monotonic()
        subprocess.run([sys.executable, "-P", guard.__file__, str(process.pid)], stdin=subprocess.DEVNULL, check=True)
        assert time.monotonic() - begun < guard.STOP_SECONDS * 0.9


def test_a_taken_port_is_the_users_to_mend(tmp_path):
    with serving(fake(tmp_path)) as process:
        port = int(process.args[-1])
        busy = Service([], {}, "127.0.0.1", port, tmp_path / "other")
        with pytest.raises(UserError, match="--port"), serving(busy):
            pass


def test_check_says_what_is_wrong(tmp_path, monkeypatch):
    service = fake(tmp_path)
    with pytest.raises(TrackerError, match="No MLflow server answers"):
        check(f"http://ann:secret@127.0.0.1:{service.port}")
    with serving(service):
        found = check(f"http://ann:secret@127.0.0.1:{service.port}/")
        assert (found.url, found.version) == (service.url, "3.17.2")
        assert 0 < found.seconds < 10
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
        assert check(service.url).version == "3.17.2"
        with pytest.raises(TrackerError, match="refuses the login.*MLFLOW_TRACKING_PASSWORD") as raised:
            check(f"http://ann:wrong1@127.0.0.1:{service.port}")
    assert "wrong1" not in str(raised.value)


def test_a_terminal_interrupt_does_not_reach_the_server_itself(tmp_path):
    with serving(fake(tmp_path)) as process:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)


def test_importing_it_costs_no_mlflow():
    script = "import trackers.team, trackers.waiting, sys; assert not {'mlflow', 'sqlalchemy', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent.parent)
