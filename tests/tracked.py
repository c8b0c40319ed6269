"""Trackers for tests: databases of their own, and runs as MLflow has them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmark.evidence import Selection
from benchmark.records import MetricInfo, SuiteResults
from tests import results_factory as factory
from trackers.mlflow_store import MlflowStore


def copied(database: Path, folder: Path) -> str:
    """A copy in the folder, without the seconds that migrations take; its URI."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(folder / "mlflow.db")) as target:
        source.backup(target)
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return f"sqlite:///{folder}/mlflow.db"


def runs(store: MlflowStore, name: str, where: str = "") -> list[Any]:
    """Of mlflow.entities.Run."""
    experiment = store.client.get_experiment_by_name(f"skewbench/{name}")
    return list(store.client.search_runs([experiment.experiment_id], where, max_results=1000))


def file_of(run: Any, name: str) -> Path:
    return Path(unquote(urlsplit(run.info.artifact_uri).path), name)


def everything(name: str, **options: Any) -> SuiteResults:
    """A suite in which every field of every record says something, and every kind of cell stands."""
    made = factory.results(**{"methods": ("none", "ros"), "seeds": 3, **options})
    cells = [replace(cell, suite=name, solo={"seconds.train": 1.5}) for cell in made.cells]
    history = {"train.accuracy": ((50, 0.5), (100, float("nan")))}
    context = {**cells[0].context, "host": "it's", "code_version": "abc+dirty"}
    cells[0] = replace(
        cells[0], context=context, history=history, metrics={**cells[0].metrics, "error": float("-inf"), "recall/cat": float("nan")}
    )
    cells[1] = factory.unfinished(cells[1], status="failed", reason="timeout: 60 s", log_tail="the end \udc80 of it\n")
    cells[2] = factory.unfinished(cells[2])
    cells[3] = factory.unfinished(cells[3], status="skipped", reason="a rule's reason")
    cells[4] = factory.unfinished(cells[4], status="blocked", reason="needs 'ä'")
    claims = tuple(replace(claim, about=(cells[0].config_key,)) for claim in factory.claims(text=" · ü"))
    return replace(
        made, name=name, cells=tuple(cells), claims=claims, references=factory.references(), suite_text=f"suite: {name}\n",
        metrics=(*made.metrics, MetricInfo("recall", True, "mean recall")),
        account={"planned": {"seconds": 1.5, "of": [1, None]}, "spent": {}},
        select=Selection(("validation.auc", "test.auc"), ("recipe.optimizer.lr",)),
    )  # fmt: skip
