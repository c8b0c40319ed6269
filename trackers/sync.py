"""Bring the tracker up to the results, writing only what it lacks. With nothing to write, MLflow is not even imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.records import CellResult, SuiteResults
from trackers.database import locked
from trackers.layout import has_run
from trackers.location import TrackerError, checked, default_uri, redact, sqlite_path
from trackers.mirror import Mirror

_CHUNK = 200
"""Cells between two records in the mirror: what a kill makes the next sync look up again, at most."""


@dataclass(frozen=True)
class SyncReport:
    """What a sync did, in cells; with `check`, `written` counts those looked up in the tracker too. `uri` is fit to be shown."""

    written: int
    already_there: int
    uri: str


def sync(results: SuiteResults, *, store: Path, uri: str | None = None, check: bool = False) -> SyncReport:
    """Write what is missing or has changed. `check`: look in the tracker itself, not only in our record of it. Raises TrackerError.

    One process writes at a time, the others wait. To a server that holds for the processes on one store: do not fill one experiment
    of a server from two stores at once.
    """
    uri = checked(uri or default_uri(store))
    mirror = Mirror(store)
    ended = [cell for cell in results.cells if has_run(cell)]
    pending = ended if check else mirror.pending(uri, ended)
    if pending:
        with _writing_alone(store, uri):
            pending = ended if check else mirror.pending(uri, ended)  # another may have written them while we waited
            if pending:
                _write(results, pending, store=store, uri=uri, mirror=mirror)
    return SyncReport(written=len(pending), already_there=len(ended) - len(pending), uri=redact(uri))


@contextmanager
def _writing_alone(store: Path, uri: str) -> Iterator[None]:
    """MLflow makes no run unique: two that look for one and then create it leave two. The lock is beside a local database, if it is one."""
    path = sqlite_path(uri)
    file = store / "tracker.lock" if path is None else path.with_name(f"{path.name}.writer")
    with ExitStack() as held:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(file))
        except OSError as error:
            raise TrackerError(f"{file} cannot be locked: {error}. Mend that, then run `skewbench sync`.") from error
        yield


def _write(results: SuiteResults, pending: Sequence[CellResult], *, store: Path, uri: str, mirror: Mirror) -> None:
    from trackers.mlflow_store import MlflowStore

    tracker = MlflowStore(uri, store / "artifacts" if sqlite_path(uri) is not None else None)
    for chunk in _chunks(pending):
        mirror.record_all(uri, chunk, tracker.write(results, only={cell.key for cell in chunk}))


def _chunks(cells: Sequence[CellResult]) -> Iterator[list[CellResult]]:
    """About `_CHUNK` cells each, a configuration never torn, so that its run is written once."""
    groups: dict[str, list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(cell.config_key, []).append(cell)
    chunk: list[CellResult] = []
    for group in groups.values():
        chunk += group
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
