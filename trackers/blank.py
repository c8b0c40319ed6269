"""An empty MLflow database, kept in the cache: MLflow's migrations take a second, a copy of what they made takes milliseconds."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from benchmark.places import default_folders

_OWN = ("experiment_tags", "experiments")
"""Tables whose rows belong to one place: MLflow writes its default experiment anew where there is none."""


def kept() -> Path:
    """The file, one for each version of MLflow."""
    return default_folders().cache / f"mlflow-{importlib.metadata.version('mlflow')}.db"


def copy_to(path: Path) -> bool:
    """Make a database that is not there yet of the kept one. False, and no file, where none is kept or it is damaged."""
    try:
        if not kept().is_file():
            return False
        with closing(sqlite3.connect(f"{kept().as_uri()}?mode=ro", uri=True)) as source, closing(sqlite3.connect(path)) as target:
            if source.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
            if source.execute("SELECT version_num FROM alembic_version").fetchone() is None:  # an empty file is a database too
                raise sqlite3.DatabaseError("not MLflow's")
            source.backup(target)
    except (OSError, sqlite3.Error):
        path.unlink(missing_ok=True)
        return False
    return True


def forget() -> None:
    """Keep none any more: MLflow could do nothing with a copy."""
    with contextlib.suppress(OSError):
        kept().unlink(missing_ok=True)


def keep(path: Path) -> None:
    """Keep a copy of a database that MLflow has just made. Where the cache cannot be written, the next one is made in full too."""
    try:
        kept().parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=kept().name, dir=kept().parent)
        os.close(handle)
        try:
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(name)) as target:
                source.backup(target)
                with target:
                    for table in _OWN:
                        target.execute(f"DELETE FROM {table}")  # noqa: S608  # our own words
            os.replace(name, kept())
        finally:
            Path(name).unlink(missing_ok=True)
    except (OSError, sqlite3.Error):
        return
