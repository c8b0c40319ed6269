"""How far each method is from the baseline, paired by seed: intervals, effect sizes, a t test and an exact test with its reach."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.exact import fewest_pairs, smallest_p
from benchmark.inference import ALPHA
from benchmark.means import differences
from benchmark.summary import Comparison, Entry, Mean, Summary, shown_difference, values_by_seed
from reports.charts import Axis, Chart, Drawing, Panel, capped, drawn
from reports.claims import shown_p
from reports.comparison import INTERVALS, MEAN, WHERE, interval_series, mean_values, noted, row_height, seed_dots, where_of
from reports.section import Block, Report, Section, Text
from reports.table import Column, Shown, Table, Value, number

TESTED = tuple(Column(name, numeric=True) for name in ("hedges_g", "p_t", "p_t_holm", "p_exact", "smallest_p_exact"))


def part(report: Report) -> Section | None:
    """Paired differences to the baseline."""
    if not report.measured:
        return None
    summary = report.summary
    heading = f"Paired differences to {summary.baseline or report.results.baseline}"
    if summary.baseline is None:
        text = f"The suite has no method called “{report.results.baseline}”, so there is no baseline to compare with."
        return Section("differences", heading, [Text(text)], "Differences")
    drawing = differences_figure(summary, report.main.name) if report.main else None
    blocks: list[Block] = [
        *([drawing] if drawing else []),
        differences_table(report),
        *_reach(summary, report.main.name if report.main else ""),
    ]
    return Section("differences", heading, blocks, "Differences")


def _reach(summary: Summary, metric: str) -> list[Block]:
    """Whether the exact test could find anything with so many seeds."""
    nums = {change.num for e in summary.all_entries() if metric in e.scores and (change := e.scores[metric].difference) and change.num}
    short = sorted(num for num in nums if smallest_p(num) > ALPHA)
    if not short:
        return []
    floor = ", ".join(f"{smallest_p(num):.4g} with {num} {'seed' if num == 1 else 'seeds'}" for num in short)
    text = (
        f"The exact test cannot go below p = {floor}; it takes {fewest_pairs(ALPHA)} seeds to reach {ALPHA:g}. Until then what is called "
    )
    text += "clear rests on the t test, which takes the differences between seeds as normal."
    return [Text(text, kind="note")]


def differences_table(report: Report) -> Table:
    """Paired differences to the baseline by method and condition; by the main metric with its tests."""
    results, summary = report.results, report.summary
    names = [info.name for info in results.metrics]
    entries = [entry for entry in summary.all_entries() if any(score.difference for score in entry.scores.values())]
    tidy = ((entry, name, entry.scores[name].difference) for entry in entries for name in names)
    tests = ("effect size g", "p (t, Holm)", "p (exact)") if names else ()
    columns = [Column(f"Δ {name}", numeric=True) for name in names]
    return Table(
        name="differences",
        caption=f"Difference to {summary.baseline or results.baseline}, paired by seed (the same images are removed for every method). "
        f"{INTERVALS}. 0: equal at every seed, as for AUC where two methods rest on the same outputs up to a constant per class. "
        "Tests are of the first metric, two-sided: g is the mean of the pairs over their deviation (Hedges); t: paired, adjusted (Holm) "
        "for the methods of the condition that differ; exact: sign-flip permutation test (up to 12 seeds) or "
        "Wilcoxon's signed-rank test, not adjusted.",
        columns=(*WHERE, *columns[:1], *(Column(name, numeric=True) for name in tests), *columns[1:]),
        rows=tuple(_row(entry, names) for entry in entries),
        tidy_columns=(*WHERE, Column("baseline"), Column("metric"), *MEAN, *TESTED, Column("exact_test")),
        tidy_rows=tuple(
            (e.condition, e.row, summary.baseline, name, *mean_values(change), *_tests(e.scores[name].test))
            for e, name, change in tidy
            if change is not None
        ),
    )


def _row(entry: Entry, names: Sequence[str]) -> tuple[Shown, ...]:
    changes = [_shown_change(entry, entry.scores[name].difference) for name in names]
    test = entry.scores[names[0]].test if names else None
    if test is None:
        tests = [Shown("–")] * 3
    else:
        exact = shown_p(test.exact.p) if test.exact else Shown("–")
        tests = [number(test.effect, 1), shown_p(test.p_holm), exact]
    return (*where_of(entry), *changes[:1], *(tests if names else []), *changes[1:])


def _tests(test: Comparison | None) -> tuple[Value, ...]:
    if test is None:
        return (None, None, None, None, None, "")
    exact = test.exact
    return (test.effect, test.p, test.p_holm, exact.p if exact else None, exact.smallest if exact else None, exact.name if exact else "")


def _shown_change(entry: Entry, change: Mean | None) -> Shown:
    if change is None or not change.num:
        return Shown("–")
    return Shown(noted(shown_difference(change), change, entry), change.mean)


def differences_figure(summary: Summary, metric: str) -> Drawing | None:
    """Paired differences to the baseline with a zero line."""
    found = {n: [e for e in rows.values() if (d := e.scores[metric].difference) and d.num] for n, rows in summary.entries.items()}
    found = {name: entries for name, entries in found.items() if entries}
    if not found or summary.baseline is None:
        return None
    shown = {name: found[name] for name in drawn(list(found))}
    rows = [row for row in summary.rows if row != summary.baseline]
    panels = [_difference_panel(name, entries, rows, summary, metric) for name, entries in shown.items()]
    alt = "; ".join(
        f"{name}: " + ", ".join(f"{e.row} {shown_difference(e.scores[metric].difference)}" for e in entries)
        for name, entries in shown.items()
    )
    caption = "Dot: mean of the paired differences; bar: 95 % interval; small grey dots: single seeds (up to 20). "
    caption += "Where a bar crosses 0 the two are not told apart."
    chart = Chart(tuple(panels), 2.7, row_height(len(rows)))
    title = f"Δ {metric} to {summary.baseline}"
    return Drawing("differences", title, alt, caption + capped("conditions", len(shown), len(found)), chart)


def _difference_panel(name: str, entries: Sequence[Entry], rows: Sequence[str], summary: Summary, metric: str) -> Panel:
    baseline = values_by_seed(summary.entries[name][summary.baseline or ""].cells, metric)
    means, dots = {}, {}
    for entry in entries:
        at, own = rows.index(entry.row), values_by_seed(entry.cells, metric)
        dots[at] = [pair for pair in differences(own, baseline) if math.isfinite(pair)]
        change = entry.scores[metric].difference
        assert change is not None
        means[at] = change
    heading = f"Δ {metric} to {summary.baseline}"
    return Panel(name, Axis(heading), Axis(names=tuple(rows)), (seed_dots(dots), *interval_series(means)), zero=True)
