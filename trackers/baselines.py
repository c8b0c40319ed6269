"""Accepted baselines in MLflow: the tag `bench.baseline` on the runs of their cells and configurations, an alias on the experiment."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from trackers.experiment import experiment_name
from trackers.mlflow_store import MlflowStore
from trackers.names import BASELINE_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run


def mark(tracker: MlflowStore, suite: str, name: str, cell_keys: Collection[str], config_keys: Collection[str], *, version: str) -> int:
    """Let the baseline `name` mean exactly these cells and configurations; how many runs it marks now. No keys: it is gone.

    The experiment gets `bench.baseline.<name>` = version. What has no run yet is left out: `skewbench sync`, then again. Idempotent.
    """
    with tracker.translated():
        experiment = tracker.client.get_experiment_by_name(experiment_name(suite))
        if experiment is None:
            return 0
        alias = f"{BASELINE_TAG}.{name}"
        if version and experiment.tags.get(alias) != version:
            tracker.client.set_experiment_tag(experiment.experiment_id, alias, version)
        elif not version and alias in experiment.tags:
            tracker.client.delete_experiment_tag(experiment.experiment_id, alias)
        wanted = {*cell_keys, *config_keys}
        return sum(_mark(tracker, run, name, belongs=_key(run) in wanted) for run in _runs(tracker, experiment.experiment_id))


def _mark(tracker: MlflowStore, run: Run, name: str, *, belongs: bool) -> bool:
    """Bring one run's tag up to date; whether it belongs."""
    before = set(filter(None, run.data.tags.get(BASELINE_TAG, "").split(", ")))
    after = before | {name} if belongs else before - {name}
    if after and after != before:
        tracker.client.set_tag(run.info.run_id, BASELINE_TAG, ", ".join(sorted(after)))
    elif before and not after:
        tracker.client.delete_tag(run.info.run_id, BASELINE_TAG)
    return belongs


def _runs(tracker: MlflowStore, experiment_id: str) -> Iterator[Run]:
    page = ""
    while True:  # pages are offsets: only an order in which new runs come last gives none twice
        order = ["attributes.start_time ASC"]
        found = tracker.client.search_runs([experiment_id], max_results=1000, order_by=order, page_token=page or None)
        yield from found
        page = found.token
        if not page:
            return


def _key(run: Run) -> str:
    """The cell of a run of the lower level, the configuration of one of the upper."""
    return str(run.data.tags.get("bench.cell_key") or run.data.tags.get("bench.config_key") or "")
