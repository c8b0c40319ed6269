"""What `skewbench serve` makes of its options, without starting a server."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest
from faulty import free_port
from test_cli import skewbench

from benchmark.errors import UserError
from trackers.team import Ready, Team, prepared


def made(team: Team) -> Ready:
    with prepared(team) as ready:
        return ready


def option(ready: Ready, name: str) -> str:
    command = list(ready.service.command)
    return command[command.index(name) + 1]


def test_by_default_it_is_for_this_machine_with_everything_in_the_store(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "a client's own")
    ready = made(Team(tmp_path))
    assert (option(ready, "--host"), option(ready, "--port"), option(ready, "--workers")) == ("127.0.0.1", "5000", "1")
    assert ready.service.environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/server/mlflow.db"
    assert option(ready, "--artifacts-destination") == f"file://{tmp_path}/server/artifacts"
    assert ready.service.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert ready.service.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "a client's own" not in ready.service.environment.values()
    assert not {"--allowed-hosts", "--app-name"} & set(ready.service.command)
    assert ready.login is None


def test_beyond_this_machine_it_knows_its_own_names_and_those_given(tmp_path):
    """MLflow turns other names away, and the requests of its own page under any but localhost."""
    ready = made(Team(tmp_path, host="0.0.0.0", allowed_hosts=("bench.example",)))
    hosts, origins = option(ready, "--allowed-hosts").split(","), option(ready, "--cors-allowed-origins").split(",")
    for name in (socket.gethostname(), "127.0.0.1", "localhost", "bench.example"):
        assert {name, f"{name}:*"} <= set(hosts)
        assert {f"http://{name}:*", f"https://{name}"} <= set(origins)
    assert "0.0.0.0" not in hosts
    assert option(made(Team(tmp_path, allowed_hosts=("*",))), "--allowed-hosts") == "*"


def test_with_logins_the_password_goes_by_the_environment_only(tmp_path, monkeypatch):
    ready = made(Team(tmp_path, auth=True))
    assert ready.login is not None
    assert ready.login.password
    assert len(ready.login.password) >= 20
    assert ready.login.password not in " ".join(ready.service.command)
    assert ready.service.environment["MLFLOW_AUTH_ADMIN_PASSWORD"] == ready.login.password
    assert made(Team(tmp_path, auth=True)).login.password != ready.login.password, "until MLflow has made the administrator"
    assert oct((tmp_path / "server" / "users.db").stat().st_mode)[-3:] == "600"
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "the user's own choice")
    assert made(Team(tmp_path, auth=True)).login.password is None


def test_what_cannot_be_used_is_said_before_mlflow_starts(tmp_path):
    away = f"postgresql://ann:hunter2@127.0.0.1:{free_port()}/bench"
    blocked = tmp_path / "file"
    blocked.write_text("")
    for wrong, words in [
        ({"backend": away}, "cannot be used.*refused"),
        ({"backend": "postgresql://ann:hunter2@host:port/bench"}, "cannot be used"),
        ({"backend": "mysql://ann:hunter2@host/bench"}, "expected sqlite:"),
        ({"backend": f"sqlite:///{blocked}/x.db"}, "--backend-store"),
        ({"artifacts": "s3://key:hunter2@bucket"}, "environment"),
        ({"artifacts": str(blocked / "below")}, "cannot be made"),
    ]:
        with pytest.raises(UserError, match=words) as raised:
            made(Team(tmp_path, **wrong))
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "package"),
    [(["--auth"], "flask_wtf"), (["--backend-store", "postgresql://h/d"], "psycopg"), (["--artifacts-destination", "s3://b"], "boto3")],
)
def test_what_the_extra_brings_is_asked_for_by_name(tmp_path, monkeypatch, capsys, options, package):
    known = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else known(name))
    code, _, err = skewbench("serve", "--store", str(tmp_path), *options, capsys=capsys)
    assert (code, err.splitlines()[-1]) == (2, f"skewbench: This server needs {package}: pip install 'skewbench[team]'.")


def test_a_new_password_goes_with_logins(tmp_path, capsys):
    code, _, err = skewbench("serve", "--store", str(tmp_path), "--new-password", capsys=capsys)
    assert (code, "--auth" in err) == (2, True)
    assert not Path(tmp_path, "server").exists()
