"""Runs and their files as a tracker has them, from wherever they lie."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

PAGE = 1000


def runs_of(client: MlflowClient, experiment_id: str, where: str) -> Iterator[Run]:
    """Every run of an experiment that a search finds, the oldest first."""
    page = ""
    while True:  # pages are offsets: only an order in which new runs come last gives none twice
        found = client.search_runs(
            [experiment_id], where, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=page or None
        )
        yield from found
        page = found.token
        if not page:
            return


def artifact(client: MlflowClient, run: Run, name: str) -> bytes:
    """A file of a run: from the disk where it is on one, else through the tracker."""
    location = urlsplit(str(run.info.artifact_uri))
    if location.scheme in ("", "file"):
        return Path(unquote(location.path), name).read_bytes()
    with tempfile.TemporaryDirectory(prefix="skewbench-") as folder:
        return Path(client.download_artifacts(run.info.run_id, name, folder)).read_bytes()
