"""`skewbench history`: how scores, time and memory of a suite went over commits and dates, and where their level changed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmark.changes import Limits, changes_of
from benchmark.cli.console import print_json, print_table
from benchmark.cli.session import load_plugins, plugins_option, store_option
from benchmark.errors import UserError, unknown
from benchmark.evaluate import metric_infos
from benchmark.identity import canonical, digest
from benchmark.ledger import Ledger
from benchmark.moments import MEMORY, TIME, UNITS, Change, Moment, Point, Series
from benchmark.points import series_of
from benchmark.records import CellResult, SuiteResults
from benchmark.spec import read_suite

BARS = "▁▂▃▄▅▆▇█"
SPARK = 24
"""Moments that a sparkline shows: the last ones."""


@click.command()
@click.argument("suite")
@click.option("--cell", "wanted", help="Only configurations whose name holds this text, or the one of this cell key or its beginning.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help=f"{TIME}, {MEMORY}, a metric or a profile figure; may be repeated (default: main metric, {TIME}, {MEMORY}).",
)
@click.option("--alpha", default=0.001, show_default=True, type=click.FloatRange(0, 0.5, min_open=True), help="Largest p of a change.")
@click.option("--from-mlflow", "uri", help="Read MLflow at this URI instead of the store.")
@store_option
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print every moment and change as JSON.")
def history(  # noqa: PLR0913  # one argument per option
    suite: str,
    wanted: str | None,
    metrics: tuple[str, ...],
    alpha: float,
    uri: str | None,
    store: Path,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Show how metrics, time and memory of SUITE went over commits and dates, with the points at which their level changed.

    A moment is one round over the seeds at one commit. Times and memories are compared only within one context (machine, versions,
    threads). A change is tested, for better or worse; it takes four moments at least, more where they are noisy: a gate tells
    sooner.
    """
    load_plugins(plugins)
    points = chosen(_points(suite, store, uri), wanted)
    series = found_series(points, _directions(suite, metrics, points), Limits(p=alpha))
    if as_json:
        print_json([_document(each) for each in series])
        return
    rows = [_row(each) for each in series]
    print_table(f"history of {suite}", ["what", "metric", "n", "first", "last", "", "changes"], rows, prose=True)
    if wanted:
        for each in series:
            print_table(f"{each.label}: {each.metric}", ["when (UTC)", "commit", "value", "seeds", "change"], _moments(each), prose=True)


def _points(suite: str, store: Path, uri: str | None) -> Sequence[Point]:
    """The suite's history. UserError where there is none."""
    name = _name(suite)
    if uri is not None:
        found: Sequence[Point] = tracked_points(uri, name)
    else:
        if not (store / "ledger.sqlite").exists():
            raise UserError(f"there is no store {store}: run the suite first, or give --store or --from-mlflow.")
        with Ledger(store, writable=False) as ledger:
            found = ledger.points(name)
    if not found:
        raise UserError(f"nothing of '{name}' has been measured there yet: `skewbench run {suite}`.")
    return found


def tracked_points(uri: str, suite: str, known: Sequence[CellResult] = ()) -> Sequence[Point]:
    """The history of the suite of this name in a tracker; says so where runs had to be left out. `known`: cells that were read before."""
    from trackers.points import read_points

    read = read_points(uri, suite, {cell.key: cell for cell in known})
    if read.unreadable:
        click.echo(f"skewbench: warning: {read.unreadable} runs without a readable cell.json are left out of the history", err=True)
    return read.points


def _name(suite: str) -> str:
    return read_suite(suite).name


def chosen(points: Sequence[Point], wanted: str | None) -> Sequence[Point]:
    """The points of configurations that are meant; UserError if there are none."""
    if wanted is None:
        return points
    names = {series.key: series.label for series in series_of([replace(p, profile={TIME: 0.0}, metrics={}) for p in points], {TIME: None})}
    keys = {point.series_key for point in points if point.cell.startswith(wanted) or point.series_key.startswith(wanted)}
    keys |= {key for key, name in names.items() if wanted.casefold() in name.casefold()}
    if not keys:
        known = "\n  ".join(dict.fromkeys(names.values()))
        raise UserError(f"--cell {wanted}: no configuration of this name and no cell of this key. There are:\n  {known}")
    return [point for point in points if point.series_key in keys]


def _directions(suite: str, asked: Sequence[str], points: Sequence[Point]) -> Mapping[str, bool | None]:
    """Whether more is better, by the metrics that are meant."""
    scores: dict[str, bool | None] = {info.name: info.higher_is_better for info in metric_infos(read_suite(suite).metrics)}
    names = asked or [next(iter(scores)), TIME, MEMORY]
    known = {name for point in points for name in (*point.metrics, *point.profile)}
    for name in names:
        if name not in known and asked:
            raise UserError(unknown("figure", name, known))
    return {name: scores.get(name, _better(name)) for name in names}


def _better(name: str) -> bool | None:
    """Of seconds, MiB and joules less is better, of rates more."""
    if name in (TIME, MEMORY) or name.startswith(("seconds", "cpu_seconds", "energy")) or name.endswith("_mib"):
        return False
    return True if name.endswith("per_second") else None


def found_series(points: Sequence[Point], metrics: Mapping[str, bool | None], limits: Limits) -> list[Series]:
    """The series with their change points."""
    return [replace(each, changes=changes_of(each, limits)) for each in series_of(points, metrics)]


def with_timeline(results: SuiteResults, points: Sequence[Point]) -> SuiteResults:
    """The results with how their configurations went over time: main metric, time and memory. What a report shows of the history."""
    attributes = {cell.config_key: cell.attributes for cell in results.cells}
    planned = {digest(canonical(dict(found))) for found in attributes.values()}
    main = {info.name: info.higher_is_better for info in results.metrics[:1]}
    own = [point for point in points if point.series_key in planned]
    return replace(results, timeline=tuple(found_series(own, {**main, TIME: False, MEMORY: False}, Limits())))


def _row(series: Series) -> list[str]:
    unit = UNITS.get(series.metric, "")
    ends = [shown_value(moment.value, unit) for moment in (series.moments[0], series.moments[-1])]
    what = series.label + (f"\n  {series.where}" if series.where else "")
    changes = "\n".join(_told(series, change) for change in series.changes) or "–"
    return [what, series.metric, str(len(series.moments)), *ends, sparkline(series.values), changes]


def sparkline(values: Sequence[float]) -> str:
    """The last values as bars between the least and the largest of them; a flat line in the middle where all are equal."""
    shown = values[-SPARK:]
    low, high = min(shown), max(shown)
    if high == low:
        return BARS[3] * len(shown)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in shown)


def _told(series: Series, change: Change) -> str:
    """`2026-11-03 4a81e53 → 17da3f5: 0.913 → 0.892 (−2.3 %), worse, p = 2e-05`."""
    before, after = series.moments[change.index - 1], series.moments[change.index]
    unit = UNITS.get(series.metric, "")
    verdict = {True: "better", False: "worse", None: "changed"}[change.is_better]
    kind = "" if change.kind == "step" else "drift "
    levels = f"{shown_value(change.before, unit)} → {shown_value(change.after, unit)} ({100 * change.relative:+.1f} %)"
    return f"{_day(after)} {kind}{short(before.commit)} → {short(after.commit)}: {levels}, {verdict}, {_p(change.p)}"


def _p(p: float) -> str:
    return "exact" if p == 0 else f"p = {p:.1g}"


def _moments(series: Series) -> list[list[str]]:
    changed = {change.index: change for change in series.changes}
    verdict = {True: "better", False: "worse", None: "changed"}
    unit = UNITS.get(series.metric, "")
    return [
        [datetime.fromtimestamp(moment.at, UTC).strftime("%Y-%m-%d %H:%M"), short(moment.commit), shown_value(moment.value, unit),
         str(moment.num), verdict[changed[index].is_better] if index in changed else ""]
        for index, moment in enumerate(series.moments)
    ]  # fmt: skip


def _day(moment: Moment) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment.at))


def short(commit: str) -> str:
    """Seven digits of a commit; `+` where the tree had changes."""
    return commit[:7] + ("+" if commit.endswith("+dirty") else "") if commit else "unknown"


def shown_value(value: float, unit: str) -> str:
    """Four digits and the unit."""
    return f"{value:.4g}{' ' * bool(unit)}{unit}"


def _document(series: Series) -> dict[str, Any]:
    return {
        "key": series.key, "label": series.label, "metric": series.metric, "higher_is_better": series.higher_is_better,
        "where": series.where, "moments": series.moments,
        "changes": [{"at": series.moments[c.index].at, "commit_before": series.moments[c.index - 1].commit,
                     "commit_after": series.moments[c.index].commit, "index": c.index, "before": c.before, "after": c.after, "p": c.p,
                     "kind": c.kind, "is_better": c.is_better, "relative": c.relative} for c in series.changes],
    }  # fmt: skip
