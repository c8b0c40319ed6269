"""Where studies are kept: a SQLite file in the store, any SQLAlchemy URL, or a journal file for network disks."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from benchmark.errors import UserError
from benchmark.redaction import redact

JOURNAL = "journal:"
FILE = "tuning.db"
_BUSY_SECONDS = 60
_ATTEMPTS = 6
_RACES = ("already exists", "duplicate key", "UNIQUE constraint", "is locked")


def default_url(store: Path) -> str:
    """The file in the store."""
    return f"sqlite:///{store.resolve() / FILE}"


def shown(url: str) -> str:
    """A storage's URL without its password."""
    if url.startswith(JOURNAL):
        return url
    try:
        return redact(make_url(url).render_as_string(hide_password=True))  # one in the query too
    except ArgumentError:
        return "***"


def open_storage(url: str) -> BaseStorage:
    """The storage at a URL; UserError that says what is wrong with it or how it cannot be reached."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # every trial is told by the command line
    with translated(url), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if url.startswith(JOURNAL):
            path = Path(url.removeprefix(JOURNAL).removeprefix("//")).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
        target = _with_driver(url)
        if target.startswith("sqlite"):
            file = make_url(target).database
            if file:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            return _created(target, {"connect_args": {"timeout": _BUSY_SECONDS}})
        return _created(target, {"pool_pre_ping": True})


class _Storage(RDBStorage):
    """Optuna's, but one that could not be made leaves no connection open behind it."""

    def __init__(self, url: str, engine_kwargs: dict[str, Any]) -> None:
        try:
            super().__init__(url, engine_kwargs=engine_kwargs)
        except BaseException:
            if hasattr(self, "scoped_session"):
                close_storage(self)
            raise


def _created(url: str, options: dict[str, Any]) -> RDBStorage:
    """The storage, its tables made if it is new. Of two who make them at once Optuna lets one die: that one looks again."""
    for attempt in range(_ATTEMPTS):
        try:
            return _Storage(url, engine_kwargs=options)
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if attempt == _ATTEMPTS - 1 or not any(words in str(error) for words in _RACES):
                raise
            time.sleep(0.2 * (attempt + 1) * (1 + random.random()))  # of two who wait, one is first
    raise AssertionError("the last attempt returns or raises")


def close_storage(storage: BaseStorage) -> None:
    """Give its connections back."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def dashboard_url(url: str) -> str:
    """What optuna-dashboard is started with."""
    return str(Path(url.removeprefix(JOURNAL).removeprefix("//")).resolve()) if url.startswith(JOURNAL) else _with_driver(url)


def _with_driver(url: str) -> str:
    """psycopg 3 where the URL names no driver: it is the one that the extra `team` installs."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return f"postgresql+psycopg://{url.removeprefix(scheme)}"
    return url


@contextmanager
def translated(url: str) -> Iterator[None]:
    """What a database says, as a UserError that names it and keeps its password to itself."""
    forms = "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE, any other SQLAlchemy URL, or journal:FILE"
    try:
        yield
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"--storage {shown(url)}: no such kind of storage. Expected {forms}.") from error
    except ImportError as error:
        missing = getattr(error, "name", None) or str(error)
        raise UserError(f"--storage {shown(url)} needs the package '{missing}': pip install 'skewbench[team]' for PostgreSQL.") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
        password = "" if url.startswith(JOURNAL) else (make_url(url).password or "")
        text = " ".join(str(cause).split())[:300]
        why = redact(text.replace(str(password), "***") if password else text)
        raise UserError(
            f"--storage {shown(url)} cannot be used: {why}. Nothing that is done is lost: issue the same command again."
        ) from error
