"""New tracking databases are copies of one that MLflow's migrations have made."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from trackers import blank
from trackers.database import prepare, token


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def names(path):
    """The order of a constraint's words differs from one migration to the next."""
    return [row[:2] for row in schema(path)]


def version(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchall()


def default_place(path):
    return MlflowClient(f"sqlite:///{path}").get_experiment("0").artifact_location


def test_a_copy_is_what_mlflow_makes_and_belongs_to_its_own_place(tmp_path, monkeypatch):
    first, second = tmp_path / "one" / "mlflow.db", tmp_path / "two" / "mlflow.db"
    for path in (first, second):
        path.parent.mkdir()
        monkeypatch.chdir(path.parent)
        assert blank.kept().exists() is (path == second)
        prepare(path)
    assert schema(first) == schema(second)
    assert len(schema(first)) > 20
    assert version(first) == version(second)
    assert token(first) != token(second)
    assert default_place(first) == str(first.parent / "mlruns/0")
    assert default_place(second) == str(second.parent / "mlruns/0")


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_one_is_made_anew(tmp_path, content):
    prepare(tmp_path / "whole.db")
    blank.kept().write_bytes(content)
    prepare(tmp_path / "mlflow.db")
    assert names(tmp_path / "mlflow.db") == names(tmp_path / "whole.db")
    prepare(tmp_path / "third.db")
    assert schema(tmp_path / "third.db") == schema(tmp_path / "mlflow.db"), "kept again"


def test_one_that_mlflow_refuses_is_forgotten(tmp_path):
    prepare(tmp_path / "whole.db")
    with closing(sqlite3.connect(blank.kept())) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another time'")
    with pytest.raises(MlflowException, match="out-of-date"):
        prepare(tmp_path / "mlflow.db")
    prepare(tmp_path / "mlflow.db")
    assert version(tmp_path / "mlflow.db") == version(tmp_path / "whole.db")


def test_where_the_cache_cannot_be_written_it_is_made_in_full(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    prepare(tmp_path / "mlflow.db")
    assert token(tmp_path / "mlflow.db")
