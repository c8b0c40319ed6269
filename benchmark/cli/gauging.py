"""What `baseline accept` and `gate` look at: the cells as they stand, and configurations measured alone."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import click

from benchmark.cli.console import describe
from benchmark.cli.engines import Means
from benchmark.cli.running import lane_of
from benchmark.cli.session import Session
from benchmark.gate.baseline import setting_of
from benchmark.gate.cost import Timing
from benchmark.gate.sides import Now
from benchmark.gate.triage import LIBRARIES, stale_context
from benchmark.ledger import Ledger
from benchmark.results import SOLO
from benchmark.rows import StageRow
from benchmark.stages import CellStages

Windows = dict[str, list[Timing]]


def measured_now(session: Session, *, here: bool = False) -> list[Now]:
    """Every planned cell with its predictions; `here`: a result that other libraries computed than those installed says so."""
    results = session.results().cells
    ledger, versions = session.ledger, _versions() if here else {}
    found = []
    for planned, result in zip(session.plan.cells, results, strict=True):
        row = ledger.stage(planned.work.last.key) if ledger and planned.work and result.status == "ok" else None
        if ledger is None or row is None or row.file is None:
            found.append(Now(result))
            continue
        stale = "; ".join(f"{each.name} {each.before} → {each.after}" for each in stale_context(result, versions))
        told = f"reused from before the libraries changed ({stale}): --fresh computes it again" if stale else ""
        found.append(Now(result, row.file.sha256, functools.partial(_read, ledger, row), told, row.file.path, row.file.size))
    return found


def _read(ledger: Ledger, row: StageRow) -> Any:
    return ledger.arrays(row)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found.setdefault(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def gauge(session: Session, means: Means, keys: Collection[str], rounds: int, *, settings: Collection[str] | None = None) -> Windows:
    """Measure the first cell of each configuration among `keys` alone, `rounds` times; by configuration, the oldest first.

    Round after round over all of them, so that a disturbance of the machine does not hit one alone. `settings`: only these.
    """
    works: dict[str, CellStages] = {}
    for planned in session.plan.cells:
        if planned.work and planned.work.key in keys:
            setting = setting_of(planned.work.resolved)
            if settings is None or setting in settings:
                works.setdefault(setting, planned.work)
    found: Windows = defaultdict(list)
    lane = lane_of(session, means) if works and rounds else None
    for number in range(rounds if lane else 0):
        assert lane is not None
        for index, (setting, work) in enumerate(works.items(), start=1):
            where = f"{number * len(works) + index}/{rounds * len(works)}"
            click.echo(f"measuring alone {where}: {describe(work.last)}", err=True)
            found[setting].append(lane.alone(work))
    return dict(found)


def recorded(session: Session) -> Windows:
    """What `run --profile` has measured of the configurations as they are now."""
    notes: Mapping[str, Timing] = session.ledger.notes(SOLO) if session.ledger else {}
    found: Windows = {}
    for planned in session.plan.cells:
        if planned.work and planned.work.key in notes:
            found.setdefault(setting_of(planned.work.resolved), [notes[planned.work.key]])
    return found
