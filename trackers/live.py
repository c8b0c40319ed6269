"""Curves while they grow: the run of a cell at work is opened early and gets its points every few seconds, one request each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records import CellResult, SuiteResults
from trackers.location import checked, default_uri, sqlite_path
from trackers.sync import writing_alone
from trackers.way import Way


@dataclass(frozen=True)
class Growing:
    """A cell at work."""

    cell: CellResult
    """As it stands in the plan: nothing measured."""
    since: float
    """Unix seconds."""
    points: tuple[tuple[int, float], ...]
    """(step, loss): new ones of its curve, the same that the finished curve will have."""


class Live:
    """The curves of one suite. Opening it imports MLflow and sets up the database. TrackerError where that or writing fails."""

    def __init__(self, results: SuiteResults, store: Path, uri: str | None = None) -> None:
        from trackers.mlflow_store import MlflowStore

        self._results = results
        self._store = store
        self._uri = checked(uri or default_uri(store))
        root = store / "artifacts" if sqlite_path(self._uri) is not None else None
        self._tracker = MlflowStore(self._uri, root, Way(in_bulk=False, alone=False))  # what is finished is written meanwhile
        self._open: dict[str, str] = {}
        """Run ids of cells at work, by cell key."""
        self._begun: set[str] = set()
        """Ids of the runs that were opened here, those of configurations among them."""
        self._known: dict[str, set[int]] = {}
        """Steps that stand there already: of a training that is done again after an interruption."""

    def write(self, growing: Sequence[Growing]) -> None:
        """Add the points; open the runs of cells that are new here. A cell whose run is finished already is left alone."""
        new = [each for each in growing if each.cell.key not in self._open]
        if new:
            with writing_alone(self._store, self._uri):
                for each in new:
                    self._begin(each)
        for each in growing:
            run_id, known = self._open[each.cell.key], self._known.get(each.cell.key, set())
            points = [point for point in each.points if point[0] not in known]
            if run_id and points:
                self._tracker.add_points(run_id, points)

    def _begin(self, growing: Growing) -> None:
        run_id, steps = self._tracker.begin_cell(self._results, growing.cell, growing.since)
        self._begun.update(self._tracker.opened(self._results))
        self._open[growing.cell.key] = run_id
        self._known[growing.cell.key] = steps

    def close(self) -> None:
        """Runs that are still open belong to trainings that were interrupted: they are KILLED until a later run goes on with them."""
        for run_id in {*self._open.values(), *self._begun} - {""}:
            self._tracker.end_interrupted(run_id)
