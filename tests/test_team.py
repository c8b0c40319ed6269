"""A team's server as it is used: `skewbench serve` on a real PostgreSQL, with logins, files in an S3 that moto plays.

One server for the file. Trouble on the network is made by a proxy before it (`faulty.py`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import results_factory as factory
from faulty import Mode, Proxy, before, free_port
from test_cli import SUITE, skewbench

from benchmark.records import SuiteResults
from tests.postgres import Server
from trackers.auth import login
from trackers.location import TrackerError
from trackers.sync import sync
from trackers.team import Team, prepared

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
BUCKET, PREFIX = "bench", "team"


@dataclass(frozen=True)
class Running:
    """The server and what a test may look into."""

    process: subprocess.Popen[str]
    url: str
    port: int
    password: str
    database: str
    """URI, with its password."""
    store: Path
    told: str
    s3: Any

    def as_admin(self, port: int | None = None, password: str | None = None) -> dict[str, str]:
        """A client's environment, or one with another port (a proxy's) or password."""
        login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password or self.password}
        patient = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}  # a busy machine is no trouble
        return {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port or self.port}", **login, **patient}

    def everything(self) -> bytes:
        """All that stands in the store's files, the database's and the bucket."""
        from sqlalchemy import create_engine, inspect, text

        engine = create_engine(self.database)
        with engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            rows = [str(row) for table in tables for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
        engine.dispose()
        return b"\n".join(path.read_bytes() for path in self.store.rglob("*") if path.is_file()) + "\n".join(rows).encode() + self._bucket()

    def _bucket(self) -> bytes:
        keys = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]
        return b"\n".join(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of an S3 that this process plays; the environment is set so that a server finds it."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    patch = pytest.MonkeyPatch()
    keys = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "s3-secret-key", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "MLFLOW_S3_ENDPOINT_URL": endpoint}.items():
        patch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()
    server.stop()
    patch.undo()


@pytest.fixture(scope="module")
def team(postgres: Server, s3: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    store, database, port = tmp_path_factory.mktemp("team"), postgres.new_database(), free_port()
    options = [
        "--backend-store",
        database.replace("+psycopg", ""),
        "--artifacts-destination",
        f"s3://{BUCKET}/{PREFIX}",
        "--auth",
        "--workers",
        "1",
    ]
    command = [sys.executable, "-m", "benchmark", "serve", "--store", str(store), "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        told = ""
        while "Ctrl-C ends it" not in told:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            told += line
        (password,) = re.findall(r"password: +(\S+)", told)
        yield Running(process, f"http://127.0.0.1:{port}", port, password, database, store, told, s3)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def results_of(name: str, **options: Any) -> SuiteResults:
    made = factory.results(**{"ratios": (10.0,), "methods": ("none", "ros"), "seeds": 2, **options})
    return replace(made, name=name, cells=tuple(replace(cell, suite=name) for cell in made.cells))


@pytest.fixture
def admin(team: Running, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's client as the administrator's; also what `sync` in this process then uses."""
    for name, value in team.as_admin().items():
        monkeypatch.setenv(name, value)
    from mlflow import MlflowClient

    return MlflowClient(team.url)


def runs(client: Any, suite: str) -> list[Any]:
    """The runs of cells and of configurations."""
    experiment = client.get_experiment_by_name(f"skewbench/{suite}")
    found = [] if experiment is None else client.search_runs([experiment.experiment_id], max_results=1000)
    return [run for run in found if run.data.tags.get("bench.level") in ("cell", "configuration")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite that has run, without a tracker."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "tiny.yaml").write_text(SUITE)
    command = [sys.executable, "-m", "benchmark", "run", "tiny.yaml", "--no-report", "--no-tracker", "--exec", "fixed", "--workers", "1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=180)
    return folder


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str


@pytest.fixture
def client(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """The command in that folder, in this process, under an environment of its own."""
    monkeypatch.chdir(place)

    def call(*arguments: str, **environment: str) -> Told:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return Told(*skewbench(*arguments, capsys=capsys))

    return call


def test_it_says_how_to_use_it_and_asks_for_a_login(team, client):
    assert f"MLFLOW_TRACKING_URI={team.url} MLFLOW_TRACKING_USERNAME=admin" in team.told
    assert team.told.count(team.password) == 1
    with urllib.request.urlopen(f"{team.url}/health") as answer:
        assert answer.read() == b"OK"
    well = client("serve", "--check", **team.as_admin())
    assert (well.code, "healthy, MLflow 3." in well.out) == (0, True), well.err
    for password in ("wrong-password", ""):
        refused = client("serve", "--check", **{**team.as_admin(), "MLFLOW_TRACKING_PASSWORD": password})
        assert (refused.code, "MLFLOW_TRACKING_USERNAME" in refused.err) == (1, True)


def test_no_password_is_on_a_command_line_in_a_file_or_in_the_database(team, postgres):
    server = psutil.Process(team.process.pid)
    lines = [" ".join(process.cmdline()) for process in server.children(recursive=True)]
    assert any("uvicorn" in line for line in lines)
    seen = "\n".join(lines).encode() + team.everything()
    for secret in (team.password, postgres.password, "s3-secret-key"):
        assert secret.encode() not in seen
    assert b"scrypt:" in seen, "the hash of the administrator's password"


@pytest.mark.parametrize("form", ["postgresql://{user}:{password}@{rest}", "postgres://{user}@{rest}?password={password}"])
def test_the_databases_password_goes_by_the_environment_only(postgres, tmp_path, form):
    user, password, rest = re.findall(r"//(\w+):(\w+)@(.*)", postgres.url("postgres"))[0]
    with prepared(Team(tmp_path, backend=form.format(user=user, password=password, rest=rest), auth=True)) as made:
        environment = dict(made.service.environment)
        assert environment.pop("PGPASSWORD") == password
        settings = Path(environment["MLFLOW_AUTH_CONFIG_PATH"]).read_text()
        seen = [*made.service.command, *environment.values(), made.database, settings]
        assert f"database_uri = postgresql+psycopg://{user}@{rest}" in settings
    assert not [text for text in seen if password in text]


def test_the_password_is_drawn_once_and_again_when_asked(team, monkeypatch):
    """The administrator is there: another start has no password to show, and `--new-password` sets one that works."""
    users = team.database
    with login(users, "postgresql://shown") as again:
        assert again.password is None
        assert "MLFLOW_AUTH_ADMIN_PASSWORD" not in again.environment
    with login(users, "postgresql://shown", new_password=True) as changed:
        assert changed.password not in (None, team.password)
        config = Path(changed.environment["MLFLOW_AUTH_CONFIG_PATH"])
        assert oct(config.parent.stat().st_mode)[-3:] == "700"
    assert not config.exists()
    from sqlalchemy import create_engine, text
    from werkzeug.security import check_password_hash, generate_password_hash

    engine = create_engine(users)
    with engine.begin() as connection:
        (found,) = connection.execute(text("SELECT password_hash FROM users")).one()
        assert check_password_hash(found, changed.password)
        connection.execute(text("UPDATE users SET password_hash = :old"), {"old": generate_password_hash(team.password)})
    engine.dispose()


def test_several_suites_from_several_processes_at_once(team, admin, tmp_path):
    """Each with a store of its own, as on several machines; every run once, files in the bucket and readable through the server."""
    program = (
        "import sys; from pathlib import Path; from tests.test_team import results_of, sync; import trackers.runs\n"
        "print('ready', flush=True); sys.stdin.readline(); sync(results_of(sys.argv[1]), store=Path(sys.argv[2]))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    names = [f"crowd-{number}" for number in range(3)]
    commands = [[sys.executable, "-c", program, name, str(tmp_path / name)] for name in names[1:]]
    writers = [subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) for c in commands]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    sync(results_of(names[0]), store=tmp_path / names[0])  # this process is the third
    for writer in writers:
        writer.communicate(timeout=300)
    assert [writer.returncode for writer in writers] == [0, 0]
    for name in names:
        found = runs(admin, name)
        assert len(found) == 4 + 2
        assert {run.info.status for run in found} == {"FINISHED"}
        assert len({run.data.tags.get("bench.cell_key") for run in found}) == 4 + 1
    (run,) = [run for run in found if run.data.tags.get("bench.seed") == "1" and run.data.tags["bench.method"] == "ros"]
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    here = admin.download_artifacts(run.info.run_id, "cell.json", str(tmp_path))
    assert json.loads(Path(here).read_text())["seed"] == 1
    keys = [entry["Key"] for entry in team.s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX)["Contents"]]
    assert any(key.endswith(f"{run.info.run_id}/artifacts/cell.json") for key in keys)


def test_a_wrong_password_is_said_and_loses_nothing(team, admin, client, place):
    """And `sync` with the right one, here in the URI, writes all; no password is then found anywhere."""
    wrong = client("sync", "tiny.yaml", **team.as_admin(password="not-the-password"))
    assert wrong.code == 1
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in wrong.err
    waits = client("status", **team.as_admin(password="not-the-password"))
    assert f"5 runs wait for {team.url}; `skewbench sync tiny.yaml" in waits.out
    assert "It refuses the login" in waits.out
    in_uri = {"MLFLOW_TRACKING_URI": team.url.replace("//", f"//admin:{team.password}@"), "MLFLOW_TRACKING_PASSWORD": ""}
    written = client("sync", "tiny.yaml", **in_uri)
    assert written.code == 0, written.err
    assert written.out == f"{team.url.replace('//', '//admin:***@')}: 6 cells written, 0 already there.\n"
    assert len(runs(admin, "tiny")) == 6 + 3
    (found,) = json.loads(client("status", "--json", **in_uri).out)
    assert (found["done"], found["tracker"]["cells"], found["tracker"]["trouble"]) == (5, 0, None)
    everything = team.everything() + b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
    for secret in (team.password, "not-the-password"):
        assert secret.encode() not in everything + (wrong.err + waits.out + written.out + written.err).encode()


@pytest.fixture
def proxy(team: Running, admin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with before(team.port) as made:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{made.port}")
        yield made


@pytest.mark.parametrize("mode", ["away", "stalls", "cuts", "nonsense"])
def test_in_any_trouble_the_error_is_clear_and_the_next_sync_writes_all_once(proxy, admin, tmp_path, monkeypatch, mode: Mode):
    results = results_of(f"trouble-{mode}", methods=("none",))
    proxy.mode = mode
    with monkeypatch.context() as hasty:
        hasty.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        with pytest.raises(TrackerError, match="No result is lost.*skewbench sync"):
            sync(results, store=tmp_path)
    proxy.mode = "pass"
    assert sync(results, store=tmp_path).written == 2
    assert len(runs(admin, results.name)) == 2 + 1


def test_a_slow_server_is_waited_for_and_a_restart_in_the_middle_leaves_no_run_twice(proxy, admin, tmp_path):
    results = results_of("restarted", seeds=3)
    proxy.mode = "slow"

    def restart() -> None:
        while proxy.requests < 30:
            time.sleep(0.01)
        proxy.mode = "away"

    threading.Thread(target=restart, daemon=True).start()
    with pytest.raises(TrackerError, match="skewbench sync"):
        sync(results, store=tmp_path)
    there = len(runs(admin, "restarted"))
    assert 0 < there < 8, "the restart came at the wrong moment to test anything"
    proxy.mode = "pass"
    assert sync(results, store=tmp_path).written == 6
    found = runs(admin, "restarted")
    assert len(found) == 6 + 2
    assert {run.info.status for run in found} == {"FINISHED"}


WAITING = """
import os, pathlib, time
from benchmark.methods import Method, Train
from benchmark.registry import plugin
from torch.nn.functional import cross_entropy

@plugin("waiting")
class Waiting(Method):
    "Trains when it may."

    def steps(self, problem):
        return (Train(by=self, own_loss=True),)

    def loss(self, problem):
        while not pathlib.Path(os.environ["MAY_TRAIN"]).exists():
            time.sleep(0.1)
        return cross_entropy
"""


def test_a_tracker_that_comes_back_while_the_suite_runs_gets_everything(proxy, admin, client, tmp_path):
    """The run takes no notice but for a warning. One training waits until the tracker has others."""
    (tmp_path / "tiny.yaml").write_text(SUITE.replace("suite: tiny", "suite: comes-back"))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/waiting.py").write_text(WAITING)
    proxy.mode = "away"
    command = [sys.executable, "-m", "benchmark", "run", "tiny.yaml", "--no-report", "--exec", "fixed", "--workers", "2", "--seeds", "1"]
    command += ["--plugins", "plugins", "--set", "method=[none, ros, waiting]"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MAY_TRAIN": str(tmp_path / "may-train")}
    options = {"cwd": tmp_path, "env": environment, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        assert process.stderr is not None
        told = ""
        while "warning" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        proxy.mode = "pass"
        until = time.monotonic() + 200
        while not (there := runs(admin, "comes-back")) and time.monotonic() < until:
            time.sleep(0.5)
        (tmp_path / "may-train").touch()
        _, rest = process.communicate(timeout=300)
    assert there, "the tracker was not tried again while the suite ran"
    assert process.returncode == 0, told + rest
    assert len(runs(admin, "comes-back")) == 3 + 3, told + rest
    assert json.loads(client("status", "--json", "--store", str(tmp_path / "skewbench-results")).out)[0]["tracker"]["cells"] == 0


def test_stopped_it_is_gone_with_all_it_started(team):
    """The last test: it ends the server that the others used."""
    server = psutil.Process(team.process.pid)
    processes = [server, *server.children(recursive=True)]
    begun = time.monotonic()
    team.process.send_signal(signal.SIGINT)
    team.process.communicate(timeout=30)
    assert time.monotonic() - begun < 25, "it has 10 s, this machine may be busy"
    assert team.process.returncode == 0
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
