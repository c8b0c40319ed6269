"""A real PostgreSQL for tests: Debian's binaries on a folder and a port of its own, as an unprivileged user, gone with the session.

`postgres_url` is a fresh empty database; `new_database` makes further ones. Skips, with the reason, where there is no PostgreSQL; where
one is expected (SKEWBENCH_EXPECT_POSTGRES is set, as in CI) a skip would hide what is wrong, so it fails.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

USER = "skewbench"
_START_SECONDS = 30.0
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=200")
"""Nothing here outlives the tests: a crash may take it all."""


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL on this machine."""

    port: int
    password: str

    def url(self, database: str) -> str:
        """As SQLAlchemy wants it, psycopg 3 named."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """URL of another fresh, empty database."""
        name = f"db_{secrets.token_hex(4)}"
        with self.connection() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def connection(self, database: str = "postgres") -> Any:
        """A psycopg connection that commits by itself."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname=database, autocommit=True, connect_timeout=5
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server itself, for tests that look inside."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="skewbench-pg-"))  # not in pytest's own folder, which another user may not enter
    try:
        with _running(binaries, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres: Server) -> str:
    """A fresh empty database: `postgresql+psycopg://…`, with a password in it."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def new_database(postgres: Server) -> Callable[[], str]:
    """A function that makes another empty database and gives its URL."""
    return postgres.new_database


def _binaries() -> Path:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        _missing(f"the driver psycopg cannot be imported ({error}): pip install 'psycopg[binary]'")
    places = [Path(found).parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    found = [place for place in places if (place / "initdb").exists() and (place / "postgres").exists()]
    return found[0] if found else _missing("there are no PostgreSQL binaries (initdb, postgres): apt-get install postgresql")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("SKEWBENCH_EXPECT_POSTGRES"):
        pytest.fail(f"PostgreSQL is expected here, but {reason}")
    pytest.skip(f"no PostgreSQL: {reason}")


def _as_whom() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: options of subprocess for another user then."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    _missing("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


@contextmanager
def _running(binaries: Path, folder: Path) -> Iterator[Server]:
    whom = _as_whom()
    server = Server(_free_port(), secrets.token_hex(12))
    secret, data, log = folder / "password", folder / "data", folder / "log"
    secret.write_text(server.password)
    if whom:
        for path in (folder, secret):
            os.chown(path, whom["user"], whom["group"])
    options: dict[str, Any] = {**whom, "cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}}
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "-N"]
    made = subprocess.run(initdb, capture_output=True, text=True, check=False, **options)
    assert made.returncode == 0, f"initdb failed: {made.stderr}"
    where = ["-D", str(data), "-p", str(server.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    with (
        log.open("wb") as out,
        subprocess.Popen([str(binaries / "postgres"), *where, *settings], stdout=out, stderr=out, **options) as process,
    ):
        try:
            _wait(server, process, log)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once, whoever is still connected
            process.wait(timeout=20)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.connection().close()
            return
        except psycopg.OperationalError:
            told = log.read_text(errors="replace")
            assert process.poll() is None, f"PostgreSQL ended at once: {told}"
            assert time.monotonic() < until, f"PostgreSQL did not start in {_START_SECONDS} s: {told}"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
