"""Ranks of the methods over conditions, and the critical-difference diagram: who is told apart from whom."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from benchmark.inference import ALPHA
from benchmark.ranks import Ranks, rank
from reports.charts import Drawing
from reports.claims import shown_p
from reports.section import Block, Report, Section, Text
from reports.table import Column, Shown, Table, Value, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TREATMENTS = 20
"""Most methods in a diagram."""


def part(report: Report) -> Section | None:
    """Mean ranks by the main metric; a diagram where the ranks can be tested and differ."""
    if not report.measured or report.main is None:
        return None
    found = rank(report.summary, report.main.name, higher_is_better=report.main.higher_is_better)
    if found is None:
        return None
    blocks: list[Block] = [Text(_words(found))]
    if not found.refused and len(found.names) <= MAX_TREATMENTS:
        blocks.append(diagram(found))
    if found.left_out:
        blocks.append(Text(f"Not ranked, because measured in too few conditions: {', '.join(found.left_out)}.", kind="note"))
    return Section("ranks", "Ranks over conditions", [*blocks, ranks_table(found)], "Ranks")


def _words(found: Ranks) -> str:
    first = f"{found.names[0]} has the best mean rank by {found.metric}, {found.means[found.names[0]]:.2f} of {len(found.names)}, "
    over = f"over {len(found.conditions)} conditions. "
    if found.refused:
        return first + over + found.refused
    if found.friedman_p > ALPHA:
        return f"{first}{over}The ranks as a whole do not differ more than by chance (Friedman, p = {shown_p(found.friedman_p).text})."
    alike = [name for name in found.names[1:] if not found.apart(found.names[0], name)]
    tied = f"it is not told apart from {', '.join(alike)}" if alike else "it is told apart from all others"
    return f"{first}{over}The ranks differ (Friedman, p {_p(found.friedman_p)}), and {tied} (Wilcoxon's exact signed-rank test, Holm)."


def _p(p: float) -> str:
    text = shown_p(p).text
    return text if text.startswith("<") else f"= {text}"


def ranks_table(found: Ranks) -> Table:
    """Mean ranks, wins, and p of each against the first."""
    first = found.names[0]
    numbers = (("mean rank", ""), ("ranked first", "conditions"), ("p (Holm) against the first", ""))
    columns = (Column("method"), *(Column(name, unit, numeric=True) for name, unit in numbers))
    p = {name: math.nan if found.pairs is None or name == first else found.pairs[first, name] for name in found.names}
    tidy: tuple[tuple[Value, ...], ...] = tuple((n, found.means[n], found.wins[n], p[n], len(found.conditions)) for n in found.names)
    return Table(
        name="ranks",
        caption=f"Ranks by {found.metric} over {len(found.conditions)} conditions, 1 is best; ties share their rank. Seeds are averaged "
        "first, over those that all methods have; conditions in which a method is missing are left out. A = B: the two rest on the "
        "same outputs everywhere and are ranked once. p: Wilcoxon's exact signed-rank test over conditions, adjusted (Holm) for all pairs. "
        "Conditions that share their data are related: read the p-values as optimistic.",
        columns=columns,
        rows=tuple((Shown(n), number(found.means[n], 2), number(found.wins[n], 1), shown_p(p[n])) for n in found.names),
        tidy_columns=(*columns, Column("num_conditions", numeric=True)),
        tidy_rows=tidy,
    )


def diagram(found: Ranks) -> Drawing:
    """Mean ranks on a line; a bar joins methods that are not told apart (Demšar 2006), drawn by scikit-posthocs."""
    alt = ", ".join(f"{name} {found.means[name]:.2f}" for name in found.names)
    groups = [f"{a} and {b}" for at, a in enumerate(found.names) for b in found.names[at + 1 :] if not found.apart(a, b)]
    alt += f". Not told apart: {'; '.join(groups)}." if groups else ". All are told apart."
    caption = (
        f"Mean ranks by {found.metric}, best on the left. Methods under one bar are not told apart (Wilcoxon's exact signed-rank test "
    )
    caption += f"over {len(found.conditions)} conditions with Holm's correction, at 5 %, after Friedman's test)."
    figure = functools.partial(_figure, found)
    return Drawing("critical_difference", "Critical-difference diagram", f"Mean ranks: {alt}", caption, figure)


def _figure(found: Ranks) -> Figure:
    import pandas as pd
    import scikit_posthocs
    from matplotlib.figure import Figure

    same = pd.DataFrame(1.0, index=list(found.names), columns=list(found.names))
    for first, second in found.pairs or {}:
        same.loc[first, second] = 0.0 if found.apart(first, second) else 1.0
    figure = Figure(figsize=(8.5, 0.9 + 0.13 * len(found.names)))
    axes = figure.add_axes((0.28, 0.05, 0.44, 0.72))
    labels = {"label_fmt_left": "{label}  {rank:.2f}", "label_fmt_right": "{rank:.2f}  {label}"}
    drawn = scikit_posthocs.critical_difference_diagram(
        dict(found.means), same, ax=axes, **labels, crossbar_props={"color": "#D55E00"}, elbow_props={"color": "#767676"},
        text_h_margin=0.06,
    )  # fmt: skip
    for (bar,) in drawn["crossbars"]:
        bar.set_xdata(sorted(bar.get_xdata()))  # they come in the order of a set: another in each process
    axes.spines["top"].set_visible(True)
    return figure
