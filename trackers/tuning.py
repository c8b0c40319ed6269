"""A tuning in MLflow: a study is a run with its best value, importances and history, its trials are runs under it.

What stands there already is left alone, so it may be written again after any kill, or later if the tracker is away now.
"""

from __future__ import annotations

import io
import json
import math
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.identity import digest
from benchmark.studies import Study, Trial, Tuning
from trackers.database import locked
from trackers.location import TrackerError, checked, redact, sqlite_path
from trackers.names import BASELINE_TAG, MAX_TAG, cut, metric_key, value_text

if TYPE_CHECKING:
    from mlflow.entities import RunData
    from mlflow.tracking import MlflowClient

LAYOUT = 1
"""Part of every digest: raise it when runs are to be written anew because their layout changed."""
CONTENT, STUDY, TRIAL = "bench.content", "bench.study", "bench.trial"
_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""MLflow knows no pruned run: it is KILLED there, and `bench.state` says what it is."""


@dataclass(frozen=True)
class _Content:
    """One run as it should stand."""

    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    status: str
    start_ms: int
    end_ms: int
    series: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        parts = [LAYOUT, self.name, dict(self.params), {k: repr(v) for k, v in self.metrics.items()}, dict(self.tags), self.status]
        return digest(json.dumps([*parts, {k: list(map(repr, v)) for k, v in self.series.items()}], sort_keys=True))


def sync_tuning(tuning: Tuning, *, store: Path, uri: str) -> int:
    """Write what MLflow lacks of the studies that have trials; the number of runs written. Raises TrackerError."""
    uri = checked(uri)
    studies = [study for study in tuning.studies if study.trials]
    path = sqlite_path(uri)
    lock = store / "tracker.lock" if path is None else path.with_name(f"{path.name}.writer")
    with _translated(uri):
        lock.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock):  # MLflow makes no run unique: one writer at a time
            return _Writer(uri, store, tuning.suite).write(studies)


class _Writer:
    """Writes into the experiment `tune/<suite>` of one tracker."""

    def __init__(self, uri: str, store: Path, suite: str) -> None:
        from trackers.mlflow_store import MlflowStore

        local = store / "artifacts" if sqlite_path(uri) is not None else None
        self.client: MlflowClient = MlflowStore(uri, local).client
        self.experiment = self._experiment(f"tune/{suite}", local)

    def _experiment(self, name: str, local: Path | None) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            command = f"mlflow experiments restore --experiment-id {found.experiment_id}"
            raise TrackerError(f"The experiment '{name}' was deleted in MLflow. `{command}` brings it back.")
        if found is not None:
            return str(found.experiment_id)
        folder = re.sub(r"[^A-Za-z0-9_-]", "_", name)
        where = (local.resolve() / f"{folder}-{digest(name)[:8]}").as_uri() if local else None
        note = "A run of the upper level is a study of `skewbench tune`, under it stand its trials. All of it follows from the studies."
        return str(self.client.create_experiment(name, artifact_location=where, tags={"mlflow.note.content": note}))

    def write(self, studies: Sequence[Study]) -> int:
        written = 0
        for study in studies:
            there = self._there(study.name)
            content = _study_content(study)
            parent, changed = self._put(there.get("", {}), content, {}, lambda study=study: _files(study))
            written += changed
            for trial in study.trials:
                if trial.state != "running":
                    links = {"mlflow.parentRunId": parent}
                    written += self._put(there.get(str(trial.number), {}), _trial_content(study, trial), links, dict)[1]
        return written

    def _there(self, study: str) -> dict[str, dict[str, str]]:
        """The runs of a study by trial ('' for the study itself): run id and digest of what they were last brought up to."""
        where = f"tags.`{STUDY}` = '{digest(study)}'"
        found: dict[str, dict[str, str]] = {}
        page = ""
        while True:
            runs = self.client.search_runs(
                [self.experiment], where, max_results=1000, order_by=["attributes.start_time ASC"], page_token=page or None
            )
            for run in runs:
                tags = run.data.tags
                found.setdefault(tags.get(TRIAL, ""), {"id": run.info.run_id, "content": tags.get(CONTENT, "")})
            page = runs.token
            if not page:
                return found

    def _put(self, there: Mapping[str, str], content: _Content, links: Mapping[str, str], files: Any) -> tuple[str, bool]:
        """Bring one run up to its content; its id, and whether anything was written."""
        from mlflow.entities import Metric, Param, RunTag

        if there.get("content") == content.digest:
            return there["id"], False
        tags = {**content.tags, **links}
        run_id = there.get("id") or self.client.create_run(
            self.experiment, start_time=content.start_ms or None, tags=tags, run_name=content.name
        ).info.run_id  # fmt: skip
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0) for key, value in content.metrics.items()]
        metrics += [Metric(key, value, now, step) for key, points in content.series.items() for step, value in points]
        old = self.client.get_run(run_id).data if there else None
        params = [Param(key, value) for key, value in content.params.items() if old is None or key not in old.params]
        metrics += [Metric(key, math.nan, now, 0) for key in _gone_metrics(old, content)]
        self._upload(run_id, files())
        self.client.log_batch(run_id, metrics=metrics, params=params)
        for key in _gone_tags(old, tags):
            self.client.delete_tag(run_id, key)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in {**tags, CONTENT: content.digest}.items()])
        self.client.set_terminated(run_id, content.status, content.end_ms or None)
        return run_id, True

    def _upload(self, run_id: str, files: Mapping[str, bytes]) -> None:
        if files:
            with tempfile.TemporaryDirectory(prefix="skewbench-") as folder:
                for name, data in files.items():
                    Path(folder, name).write_bytes(data)
                self.client.log_artifacts(run_id, folder)


def _gone_metrics(old: RunData | None, content: _Content) -> list[str]:
    """Metrics that no longer hold, as an importance of a study that has more trials now; they become NaN, since MLflow deletes none."""
    stale = old.metrics.keys() - content.metrics.keys() - content.series.keys() if old else ()
    return sorted(key for key in stale if old and not math.isnan(old.metrics[key]))


def _gone_tags(old: RunData | None, tags: Mapping[str, str]) -> list[str]:
    """Tags of ours that no longer hold, as of an earlier winner's parameter that the new one has not. A person's stay."""
    stale = old.tags.keys() - tags.keys() - {CONTENT, BASELINE_TAG} if old else ()
    return sorted(key for key in stale if key.startswith("bench."))


def _study_content(study: Study) -> _Content:
    winner = study.winner
    metrics = {f"trials.{state}": float(sum(trial.state == state for trial in study.trials)) for state in _STATUS}
    metrics |= {"trials": float(len(study.trials)), "trials.lost": float(study.num_lost), "seconds.training": study.seconds}
    metrics |= {metric_key(f"importance/{name}"): value for name, value in study.importances.items()}
    if winner is not None:
        metrics |= {metric_key(f"best.{item.name}"): value for item, value in zip(study.objectives, winner.values, strict=True)}
        metrics["best.trial"] = float(winner.number)
    params = {name: value_text(words) for name, words in study.space.items()}
    params |= {"sampler": study.sampler, "pruner": study.pruner, "optuna": study.optuna}
    tags = {
        STUDY: digest(study.name), "bench.level": "study", "bench.budget": study.budget, "bench.study_name": cut(study.name, MAX_TAG),
        "bench.storage": redact(study.storage),
        **({f"bench.best.{name}": value_text(value) for name, value in winner.params.items()} if winner else {}),
    }  # fmt: skip
    started = [trial.started for trial in study.trials if trial.started]
    ended = [trial.ended for trial in study.trials if trial.ended]
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    series = {"best_so_far": [(count, best) for count, _, best in study.best_so_far()]}
    return _Content(
        cut(study.name, 250), params, finite, tags, "FINISHED", _ms(min(started, default=0.0)), _ms(max(ended, default=0.0)), series
    )


def _trial_content(study: Study, trial: Trial) -> _Content:
    metrics = {metric_key(name): value for name, value in trial.scores.items()} | {"seconds.training": trial.seconds}
    metrics |= {metric_key(f"objective.{item.name}"): value for item, value in zip(study.objectives, trial.values, strict=False)}
    tags = {
        STUDY: digest(study.name), TRIAL: str(trial.number), "bench.level": "trial", "bench.state": trial.state,
        **({"bench.kind": trial.kind} if trial.kind else {}), **({"bench.reason": cut(trial.message, MAX_TAG)} if trial.message else {}),
        **({"bench.retry_of": str(trial.retry_of)} if trial.retry_of is not None else {}),
    }  # fmt: skip
    params = {name: value_text(value) for name, value in trial.params.items()}
    series = {metric_key(f"on_the_way.{study.objectives[0].name}"): trial.reports} if trial.reports else {}
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    status = _STATUS[trial.state]
    return _Content(f"trial {trial.number}", params, finite, tags, status, _ms(trial.started), _ms(trial.ended), series)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _files(study: Study) -> dict[str, bytes]:
    """The history of a study, drawn, and its trials as JSON."""
    from dataclasses import asdict

    document = json.dumps(asdict(study), indent=1, sort_keys=True, default=str)
    return {"study.json": document.encode(), **({"history.png": _history(study)} if study.best_so_far() else {})}


def _history(study: Study) -> bytes:
    """Every complete trial, and the best so far."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    done = [(count, trial.values[0]) for count, trial in enumerate(study.trials, start=1) if trial.values]
    axes.scatter([count for count, _ in done], [value for _, value in done], s=14, color="#767676", label="trial")
    points = study.best_so_far()
    axes.step([point[0] for point in points], [point[2] for point in points], where="post", color="#0072B2", label="best so far")
    axes.set(xlabel="trials", ylabel=f"validation {study.objectives[0].name}")
    axes.legend()
    FigureCanvasAgg(figure)  # the one without a screen
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Whatever goes wrong between here and the tracker as one TrackerError."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        why = cut(" ".join(redact(str(error)).split()), 400)
        raise TrackerError(
            f"The tracker {redact(uri)} could not be reached or written: {why} Nothing is lost: issue the same command again later."
        ) from error
