"""The verdict of a regression check on the suite's experiment in MLflow, as tags, where people who browse see it first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trackers.experiment import experiment_name
from trackers.location import checked, default_uri, redact, sqlite_path
from trackers.names import MAX_TAG, cut

PREFIX = "bench.gate."


def verdict_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """`bench.gate.outcome`, `.summary`, `.baseline`, `.at`, `.commit`, `.regressions`."""
    tags = {
        "outcome": document["outcome"],
        "summary": document["summary"],
        "baseline": document["baseline"] or "none",
        "at": datetime.fromtimestamp(document["created"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "commit": document["commit_after"] or "unknown",
        "regressions": "\n".join(document["regressions"]) or "none",
    }
    return {PREFIX + name: redact(cut(str(value), MAX_TAG)) for name, value in tags.items()}


def record_verdict(document: Mapping[str, Any], *, store: Path, uri: str | None = None) -> bool:
    """Set the tags; False where the tracker has no experiment of this suite (yet). Raises TrackerError."""
    uri = checked(uri or default_uri(store))
    path = sqlite_path(uri)
    if path is not None and not path.is_file():
        return False
    from trackers.mlflow_store import MlflowStore

    tracker = MlflowStore(uri, None)
    with tracker.translated():
        found = tracker.client.get_experiment_by_name(experiment_name(str(document["suite"])))
        if found is None or found.lifecycle_stage == "deleted":
            return False
        for key, value in verdict_tags(document).items():
            if found.tags.get(key) != value:
                tracker.client.set_experiment_tag(found.experiment_id, key, value)
    return True
