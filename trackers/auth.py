"""Logins of a team's server: MLflow's own basic authentication, an administrator made at the first start, nothing secret on disk.

The users stand in a database of MLflow's own tables, passwords as salted hashes. Who is in it may read every experiment, and write those
he or she has made; the administrator adds people at `/signup` and may change that.
"""

from __future__ import annotations

import configparser
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

ADMIN = "admin"
_PASSWORD_BYTES = 18
_REMEMBER_SECONDS = 60
"""How long a server process takes a password for right that it has checked: each check costs it some 50 ms of hashing, on purpose."""


@dataclass(frozen=True)
class Login:
    """How MLflow's server is told to ask for logins."""

    environment: dict[str, str]
    username: str
    password: str | None
    """Of the administrator, if it was drawn just now; None: set earlier, or by the user's own MLFLOW_AUTH_ADMIN_PASSWORD."""


@contextmanager
def login(users: str, shown_users: str, *, new_password: bool = False) -> Iterator[Login]:
    """Settings for a server that asks for logins, valid inside the block. `users`: URI of their database, `shown_users` the same
    without its password, which goes into MLflow's settings file, a private one that lasts as long as the block.

    `new_password`: draw one for the administrator who is there already.
    """
    username = os.environ.get("MLFLOW_AUTH_ADMIN_USERNAME", "") or ADMIN
    drawn = _password(users, username, new_password=new_password)
    with tempfile.TemporaryDirectory(prefix="skewbench-auth-") as folder:  # only its owner may enter
        path = Path(folder, "auth.ini")
        _write(path, shown_users)
        environment = {
            "MLFLOW_AUTH_CONFIG_PATH": str(path),
            "MLFLOW_AUTH_ADMIN_USERNAME": username,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or secrets.token_hex(32),
        }
        yield Login(environment | ({"MLFLOW_AUTH_ADMIN_PASSWORD": drawn} if drawn else {}), username, drawn)


def _password(users: str, username: str, *, new_password: bool) -> str | None:
    with _connected(users) as connection:
        is_there = _is_there(connection, username)
        if is_there and not new_password:
            return None
        if not is_there and os.environ.get("MLFLOW_AUTH_ADMIN_PASSWORD"):
            return None
        drawn = secrets.token_urlsafe(_PASSWORD_BYTES)
        if is_there:
            _change(connection, username, drawn)
        return drawn


@contextmanager
def _connected(users: str) -> Iterator[Connection]:
    from sqlalchemy import create_engine

    engine = create_engine(users)
    try:
        with closing(engine.connect()) as connection:
            yield connection
    finally:
        engine.dispose()


def _is_there(connection: Connection, username: str) -> bool:
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("users"):
        return False
    return connection.execute(text("SELECT 1 FROM users WHERE username = :name"), {"name": username}).first() is not None


def _change(connection: Connection, username: str, password: str) -> None:
    from sqlalchemy import text
    from werkzeug.security import generate_password_hash

    values = {"name": username, "hash": generate_password_hash(password)}
    connection.execute(text("UPDATE users SET password_hash = :hash WHERE username = :name"), values)
    connection.commit()


def _write(path: Path, users: str) -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings["mlflow"] = {
        "default_permission": "READ",
        "database_uri": users.replace("%", "%%"),  # MLflow reads the file with interpolation
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(_REMEMBER_SECONDS),
    }
    with path.open("w", encoding="utf-8") as file:
        settings.write(file)
