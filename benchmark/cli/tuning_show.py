"""What `skewbench tune` shows at its end, and where it leaves it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click

import benchmark
from benchmark.cli.browse import tracker_place, warn
from benchmark.cli.console import duration, print_table
from benchmark.cli.reporting import STAMP
from benchmark.cli.session import Session
from benchmark.identity import canonical, digest
from benchmark.studies import Comparison, Study, Tuning
from benchmark.summary import mean_of, paired_difference, shown_difference, shown_mean

MIRRORED = "tuning-mirrored"
"""Kind of note in the ledger: what was last written of a suite's tuning to a tracker."""


def show(tuning: Tuning) -> None:
    """The studies with their winners, then tuned against untuned."""
    header = ["study", "trials", "pruned", "failed", "training", "best", "winner"]
    print_table(f"{tuning.suite}: studies", header, [_study_row(study) for study in tuning.studies], prose=True)
    by_metric: dict[str, list[Comparison]] = defaultdict(list)
    for comparison in tuning.comparisons:
        by_metric[comparison.metric].append(comparison)
    for metric, found in by_metric.items():
        rows = [_comparison_row(comparison) for comparison in found]
        print_table(f"{tuning.suite}: {metric} on the test part", ["study", "untuned", "tuned", "tuned − untuned", "seeds"], rows)
    if tuning.comparisons:
        click.echo("Mean ± half-width of the 95 % t-interval over seeds that no trial has seen; differences are paired.")
    for note in tuning.notes:
        click.echo(f"Note: {note}")


def _study_row(study: Study) -> list[str]:
    winner = study.winner
    best = ", ".join(f"{item.name} {value:.4g}" for item, value in zip(study.objectives, winner.values, strict=True)) if winner else "–"
    params = (
        ", ".join(f"{path.rpartition('.')[2]} {_short(value)}" for path, value in winner.params.items()) if winner else "no trial completed"
    )
    front = f" (of {len(study.best)} on the front)" if len(study.best) > 1 else ""
    name = study.name.partition(": ")[2].partition(" [")[0]
    counts = [str(len(study.trials)), str(study.count("pruned")), str(study.count("failed"))]
    return [name, *counts, duration(study.seconds), best + front, params]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _comparison_row(comparison: Comparison) -> list[str]:
    untuned, tuned = mean_of(comparison.untuned.values()), mean_of(comparison.tuned.values())
    difference = paired_difference(comparison.tuned, comparison.untuned)
    name = comparison.study.partition(": ")[2].partition(" [")[0]
    return [name, shown_mean(untuned), shown_mean(tuned), shown_difference(difference), str(difference.num)]


def tuned_report(session: Session, tuning: Tuning) -> Path:
    """Write the tuning's own page; its path."""
    variant = session.choice.variant
    folder = session.choice.store / "reports" / f"{session.suite.name}+tuning{variant and f'-{variant}'}"
    index, stamp, made_of = folder / "index.html", folder / STAMP, _digest(tuning)
    if index.exists() and stamp.exists() and stamp.read_text() == made_of:
        return index
    from reports.tuning import write_tuning

    stamp.unlink(missing_ok=True)
    write_tuning(tuning, folder)
    stamp.write_text(made_of)
    return index


def _digest(tuning: Tuning) -> str:
    return digest(f"{benchmark.__version__} {canonical(tuning.document)}")


def tuned_tracker(session: Session, tuning: Tuning) -> str:
    """Bring MLflow up to the tuning; where it is, or a warning where it is away: nothing is lost, the studies have it all."""
    from trackers.database import token
    from trackers.location import TrackerError, default_uri, redact, sqlite_path
    from trackers.tuning import sync_tuning

    store = session.choice.store
    uri = default_uri(store)
    path, key = sqlite_path(uri), f"{tuning.suite} {redact(uri)}"
    wanted = [_digest(tuning), token(path) if path else 0]
    if session.own_ledger.notes(MIRRORED).get(key) == wanted:
        return tracker_place(store)
    try:
        sync_tuning(tuning, store=store, uri=uri)
    except TrackerError as error:
        warn(error)
        return "not written now; issue the same command again to write it"
    session.own_ledger.note(MIRRORED, key, [wanted[0], token(path) if path else 0])
    return tracker_place(store)
