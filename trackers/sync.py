"""Bring the tracker up to the results, writing only what it lacks. With nothing to write, MLflow is not even imported."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.beside import processes
from benchmark.records import CellResult, SuiteResults
from trackers.content import Shown
from trackers.database import analyse, locked
from trackers.extras import Extras
from trackers.layout import has_run, shown_of
from trackers.location import TrackerError, checked, default_uri, redact, sqlite_path
from trackers.mirror import Mirror
from trackers.suite_document import suite_digest
from trackers.way import Way

_CHUNK = 200
"""Cells between two records in the mirror: what a kill makes the next sync look up again, at most."""
LARGE = 1000
"""Cells to be written from which on a process for the pictures pays."""


@dataclass(frozen=True)
class SyncReport:
    """What a sync did, in cells; with `check`, all are written. `uri` is fit to be shown."""

    written: int
    already_there: int
    uri: str


@dataclass(frozen=True)
class Beyond:
    """What a sync is given beyond the results."""

    variant: str = ""
    """A name for the choice of cells where they are not the whole suite."""
    cells: tuple[CellResult, ...] = ()
    """Cells that the runs of configurations are over too."""
    extras: Extras | None = None


def sync(results: SuiteResults, *, store: Path, uri: str | None = None, check: bool = False, beyond: Beyond = Beyond()) -> SyncReport:
    """Write what is missing or has changed. `check`: whatever our record says, what was lost or damaged in the tracker is written anew.

    Raises TrackerError.

    One process writes at a time, the others wait. To a server that holds for the processes on one store: do not fill one experiment
    of a server from two stores at once.
    """
    uri = checked(uri or default_uri(store))
    work = _Work(results, replace(results, cells=(*results.cells, *beyond.cells)), store, uri, check, beyond.variant, beyond.extras)
    ended = [cell for cell in work.written.cells if has_run(cell)]
    if all(cell.status == "skipped" for cell in ended):  # nothing has been run: a tracker is not made for what was only planned
        return SyncReport(written=0, already_there=0, uri=redact(uri))
    pending = work.pending()
    if pending or work.suite_pending():
        with writing_alone(store, uri):
            pending = work.pending()  # another may have written them while we waited
            if pending or work.suite_pending():
                work.write(pending)
    return SyncReport(written=len(pending), already_there=len(ended) - len(pending), uri=redact(uri))


@dataclass(frozen=True)
class _Work:
    """One sync."""

    results: SuiteResults
    """What is said of the suite as a whole."""
    written: SuiteResults
    """What its runs are of."""
    store: Path
    uri: str
    check: bool
    variant: str
    extras: Extras | None

    @functools.cached_property
    def shown(self) -> Shown:
        return shown_of(self.results)

    @functools.cached_property
    def suite_digest(self) -> str:
        return suite_digest(self.results, self.variant)

    @property
    def names(self) -> tuple[str, ...]:
        return self.extras.names if self.extras else ()

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.store)

    def pending(self) -> list[CellResult]:
        if self.check:
            return [cell for cell in self.written.cells if has_run(cell)]
        return self.mirror.pending(self.uri, self.written.cells, self.shown, self.names)

    def suite_pending(self) -> bool:
        if not any(map(has_run, self.results.cells)):
            return False
        return self.check or self.mirror.suite_pending(self.uri, self.results.name, self.variant, self.suite_digest)

    def write(self, pending: Sequence[CellResult]) -> None:
        from trackers.mlflow_store import MlflowStore

        path = sqlite_path(self.uri)
        with processes(len(pending) >= LARGE) as painters:
            way = Way(anew=self.check, painters=painters)
            tracker = MlflowStore(self.uri, self.store / "artifacts" if path is not None else None, way)
            for chunk in _chunks(pending):
                written = tracker.write(self.written, only={cell.key for cell in chunk}, extras=self.extras)
                self.mirror.record_all(self.uri, chunk, written, self.shown, self.names)
        run_id = tracker.write_suite(self.results, self.variant)
        if path is not None:
            analyse(path)
        self.mirror.record_suite(self.uri, self.results.name, self.variant, self.suite_digest, run_id)


@contextmanager
def writing_alone(store: Path, uri: str) -> Iterator[None]:
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
