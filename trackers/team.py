"""A team's MLflow server: where it keeps things, who may reach it, and that no password is seen on a command line or in a file."""

from __future__ import annotations

import importlib.util
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmark.errors import UserError
from trackers.auth import Login, login
from trackers.location import redact, sqlite_path
from trackers.server import mlflow_command, server_environment
from trackers.service import Service

if TYPE_CHECKING:
    from sqlalchemy import URL

_CONNECT_SECONDS = 5
_SERVER_WORKERS = 2
_LOCAL = ("127.0.0.1", "localhost", "::1")
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
_WANTED = "sqlite:////absolute/path.db or postgresql://user:password@host/database"


@dataclass(frozen=True)
class Team:
    """What a server is asked to be. None: the default, a SQLite file and a folder in `STORE/server`, and as many workers as suit it."""

    store: Path
    host: str = "127.0.0.1"
    port: int = 5000
    backend: str | None = None
    artifacts: str | None = None
    workers: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    auth: bool = False
    new_password: bool = False

    @property
    def folder(self) -> Path:
        """Where it keeps what it is not told to keep elsewhere."""
        return self.store.resolve() / "server"

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in _LOCAL


@dataclass(frozen=True)
class Ready:
    """A server that can be started. `database` and `artifacts` are fit to be shown."""

    service: Service
    database: str
    artifacts: str
    login: Login | None


@contextmanager
def prepared(team: Team) -> Iterator[Ready]:
    """Check what was asked for, make what is missing; the service is to be started inside the block. Raises UserError, TrackerError."""
    _require_packages(team)
    backend = _Backend.of(team)
    artifacts = _artifacts(team)
    team.folder.mkdir(parents=True, exist_ok=True)
    environment = {**server_environment(), **backend.environment, "MLFLOW_BACKEND_STORE_URI": backend.plain}
    with _login(team, backend) as found:
        environment |= found.environment if found else {}
        command = [*_command(team, backend), "--artifacts-destination", artifacts]
        yield Ready(Service(command, environment, team.host, team.port, team.folder / "mlflow.log"), backend.plain, artifacts, found)


@dataclass(frozen=True)
class _Backend:
    """The database: `uri` whole; `plain` without a password, which goes by `environment`; `users`: where logins are, whole and plain."""

    uri: str
    plain: str
    environment: dict[str, str]
    users: tuple[str, str]

    @property
    def is_sqlite(self) -> bool:
        return sqlite_path(self.uri) is not None

    @classmethod
    def of(cls, team: Team) -> _Backend:
        given = team.backend or f"sqlite:///{team.folder / 'mlflow.db'}"
        path = sqlite_path(given)
        if path is not None and given != "sqlite:///" and "?" not in given:
            return cls._in_file(path.resolve())
        if given.partition("://")[0] in _POSTGRES:
            return cls._in_postgres(given)
        raise UserError(f"--backend-store '{redact(given)}' is none that `serve` knows: expected {_WANTED}.")

    @classmethod
    def _in_file(cls, path: Path) -> _Backend:
        uri, users = f"sqlite:///{path}", path.with_name("users.db")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(path, timeout=_CONNECT_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            os.close(os.open(users, os.O_CREAT | os.O_RDWR, 0o600))
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"The database {path} cannot be used: {error}. Name another with --backend-store.") from error
        return cls(uri, uri, {}, (f"sqlite:///{users}",) * 2)

    @classmethod
    def _in_postgres(cls, given: str) -> _Backend:
        from sqlalchemy import make_url
        from sqlalchemy.exc import SQLAlchemyError

        try:
            url = make_url(given).set(drivername="postgresql+psycopg")
            _connect(url)
        except (SQLAlchemyError, ValueError) as error:  # ValueError: a port that is no number
            told = " ".join(redact(str(getattr(error, "orig", None) or error)).split())
            raise UserError(f"The database {redact(given)} cannot be used: {told}. Expected {_WANTED}.") from error
        whole = url.render_as_string(hide_password=False)
        password = url.password or url.normalized_query.get("password", ("",))[0]
        plain = url.set(query={name: value for name, value in url.query.items() if name != "password"})
        shown = plain._replace(password=None).render_as_string(hide_password=False)
        return cls(whole, shown, {"PGPASSWORD": password} if password else {}, (whole, shown))


def _connect(url: URL) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_SECONDS})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextmanager
def _login(team: Team, backend: _Backend) -> Iterator[Login | None]:
    if not team.auth:
        yield None
        return
    with login(*backend.users, new_password=team.new_password) as found:
        yield found


def _artifacts(team: Team) -> str:
    """Where files go: an absolute folder that is there, or the URI of an object store as it stands."""
    given = team.artifacts or str(team.folder / "artifacts")
    if redact(given) != given:
        raise UserError("--artifacts-destination holds a password or key: give those in the environment (AWS_ACCESS_KEY_ID, …).")
    if "://" in given and not given.startswith("file://"):
        return given
    path = Path(given.removeprefix("file://")).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--artifacts-destination {path} cannot be made: {error.strerror}.") from error
    return path.as_uri()


def _command(team: Team, backend: _Backend) -> list[str]:
    workers = team.workers or (1 if backend.is_sqlite else _SERVER_WORKERS)
    command = mlflow_command(team.host, team.port, workers=workers)
    command += ["--app-name", "basic-auth"] if team.auth else []
    if team.is_local and not team.allowed_hosts:
        return command  # MLflow's own defaults: this machine's names only
    names = ["*"] if "*" in team.allowed_hosts else list(dict.fromkeys([*_own_names(team.host), *team.allowed_hosts]))
    hosts = [form for name in names for form in (name, f"{name.replace('[', '[[]', 1)}:*")]
    origins = [f"{scheme}://{form}" for scheme in ("http", "https") for form in hosts]
    return [*command, "--allowed-hosts", ",".join(["*"] if names == ["*"] else hosts)] + [
        "--cors-allowed-origins",
        ",".join(["*"] if names == ["*"] else origins),
    ]


def _own_names(host: str) -> list[str]:
    """How a server on this machine may be called: else MLflow turns browsers away, even its own page's."""
    addresses = {entry.address.partition("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries if _is_ip(entry.family)}
    names = {*_LOCAL, host, socket.gethostname(), socket.getfqdn(), *addresses} - {"0.0.0.0", "::"}
    return sorted(f"[{name}]" if ":" in name else name for name in names)


def _is_ip(family: int) -> bool:
    return family in (socket.AF_INET, socket.AF_INET6)


def _require_packages(team: Team) -> None:
    """What the extra `team` brings and this server needs."""
    needed = {
        "psycopg": (team.backend or "").startswith("postgres"),
        "boto3": (team.artifacts or "").startswith("s3://"),
        "flask_wtf": team.auth,
    }
    missing = [name for name, is_needed in needed.items() if is_needed and importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"This server needs {', '.join(missing)}: pip install 'skewbench[team]'.")
