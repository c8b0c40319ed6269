"""Figures of a tuning: best so far against budget, importances, slices, a contour, parallel coordinates, a Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmark.studies import Study, Trial
from reports.charts import FAINT, INK, MAX_PANELS, Axis, Chart, Drawing, Panel, Series, capped, color, cut

_MAP = colormaps["viridis"]
MIN_CONTOUR = 6
"""Completed trials from which on a surface says something."""


def best_so_far(studies: Sequence[Study]) -> Drawing | None:
    """The best validation score against trials and against training seconds: two panels for each condition, a line for each method."""
    drawn = [study for study in studies if study.best_so_far()]
    if not drawn:
        return None
    every = list(dict.fromkeys(study.condition for study in drawn))
    conditions, methods = every[: MAX_PANELS // 2], list(dict.fromkeys(study.method for study in drawn))
    panels = [
        Panel(
            cut(condition), Axis(heading, integers=column == 0), Axis(f"best validation {drawn[0].objectives[0].name}"),
            tuple(_steps(study, column, methods.index(study.method)) for study in drawn if study.condition == condition),
        )
        for condition in conditions for column, heading in enumerate(("trials", "training [s]"))
    ]  # fmt: skip
    caption = "Best validation score so far against what was spent: the same number of trials for each method, and its training seconds."
    caption += capped("conditions", len(conditions), len(every))
    return Drawing("best_so_far", "Best so far against budget", _told(drawn), caption, Chart(tuple(panels), 2.7, 1.8, columns=2))


def _steps(study: Study, column: int, look: int) -> Series:
    """Steps: a best stands until a better one comes."""
    points = study.best_so_far()
    xs, ys = [float(point[column]) for point in points], [point[2] for point in points]
    corners = [xs[0], *(x for x in xs[1:] for _ in (0, 1))], [y for y in ys[:-1] for _ in (0, 1)] + [ys[-1]]
    return Series("line", tuple(corners[0]), tuple(corners[1]), look, study.method, marked=False)


def importances(studies: Sequence[Study]) -> Drawing | None:
    """Bars of how much each parameter matters, a panel for each study."""
    drawn = [study for study in studies if study.importances][:MAX_PANELS]
    if not drawn:
        return None
    most = [f"{study.method}: {_last(next(iter(study.importances)))}" for study in drawn]
    caption = "How much each parameter tells good trials from others (PED-ANOVA, Watanabe et al. 2023); shares that add up to 1."
    caption += capped("studies", len(drawn), sum(bool(study.importances) for study in studies))
    chart = Chart(tuple(_importances(study) for study in drawn), 2.2, 1.5)
    return Drawing("importances", "Importance of parameters", "Most important: " + ", ".join(most), caption, chart)


def _importances(study: Study) -> Panel:
    shares = study.importances
    bars = Series("bars", tuple(map(float, range(len(shares)))), tuple(shares.values()), 0)
    names = Axis(names=tuple(map(_last, shares)))
    return Panel(cut(f"{study.method} · {study.condition}"), names, Axis("importance", from_zero=True), (bars,))


def slices(study: Study, index: int) -> Drawing | None:
    """The score against each parameter alone."""
    done, names = _complete(study), _names(study)
    if not done or not names:
        return None
    panels = tuple(_slice(study, name, [trial for trial in done if name in trial.params]) for name in names[:MAX_PANELS])
    chart = Chart(panels, 1.9, 1.6, share_y=True)
    return _drawing(study, index, "slice", "Score against each parameter", "Complete trials.", chart)


def _slice(study: Study, name: str, trials: Sequence[Trial]) -> Panel:
    positions, names = _positions([trial.params[name] for trial in trials])
    texts = tuple(f"trial {trial.number}: {trial.values[0]:.4g}" for trial in trials)
    points = Series("points", tuple(positions), tuple(trial.values[0] for trial in trials), 0, texts=texts)
    axis = Axis(log=_is_log(study, name) and not names, names=tuple(names))
    return Panel(_last(name), axis, Axis(_objective(study)), (points,))


def contour(study: Study, index: int) -> Drawing | None:
    """The score over the two parameters that matter most, if both are numbers."""
    import numpy as np

    ranked = [*study.importances, *(name for name in _names(study) if name not in study.importances)]
    numeric = [name for name in ranked if all(isinstance(trial.params.get(name), int | float) for trial in _complete(study))][:2]
    done = _complete(study)
    distinct = {tuple(trial.params[name] for name in numeric) for trial in done}
    if len(numeric) < 2 or len(distinct) < MIN_CONTOUR or any(len({point[i] for point in distinct}) < 3 for i in (0, 1)):
        return None
    xs, ys = ([_on_scale(study, name, trial.params[name]) for trial in done] for name in numeric)
    if np.linalg.matrix_rank(np.array([xs, ys]).T - [xs[0], ys[0]], tol=1e-9) < 2:
        return None  # on one line there is no surface
    values = [trial.values[0] for trial in done]
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axes = figure.subplots()
    surface = axes.tricontourf(xs, ys, values, levels=12, cmap="viridis")
    axes.scatter(xs, ys, color=color(INK), s=8)
    figure.colorbar(surface, ax=axes, label=_objective(study))
    labels = [f"log10 {_last(name)}" if _is_log(study, name) else _last(name) for name in numeric]
    axes.set(xlabel=labels[0], ylabel=labels[1])
    return _drawing(
        study, index, "contour", "Score over the two most important parameters", "Interpolated between the trials (dots).", figure
    )


def parallel(study: Study, index: int) -> Drawing | None:
    """A line for each complete trial through all of its parameters, coloured by its score."""
    names = [name for name in _names(study) if all(name in trial.params for trial in _complete(study))]
    done = _complete(study)
    if len(names) < 2 or len(done) < 2:
        return None
    figure = Figure(figsize=(1.5 * len(names) + 2.2, 3.2), layout="constrained")
    axes = figure.subplots()
    columns = _scaled([_columns(study, name, done) for name in names])
    scores = [trial.values[0] for trial in done]
    low, high = min(scores), max(scores)
    sign = 1 if study.objectives[0].higher_is_better else -1
    for at, trial in sorted(enumerate(done), key=lambda item: sign * item[1].values[0]):
        shade = (trial.values[0] - low) / (high - low) if high > low else 0.5
        axes.plot(range(len(names)), [column[at] for column in columns], color=_MAP(shade), linewidth=1.1)
    axes.set_xticks(range(len(names)), [f"{_last(name)}\n{_ends(name, done)}" for name in names])
    axes.set_yticks([])
    for at in range(len(names)):
        axes.axvline(at, color=color(FAINT), linewidth=0.6)
    return _drawing(
        study, index, "parallel", "Trials through all parameters", "A line is a complete trial; bright is a high score.", figure
    )


def pareto(study: Study, index: int) -> Drawing | None:
    """Two objectives against each other, the front marked."""
    done = _complete(study)
    if len(study.objectives) < 2 or not done:
        return None
    series = []
    for label, on_front, look in (("others", False, FAINT), ("Pareto front", True, 1)):
        chosen = sorted((t.values[1], t.values[0], t.number) for t in done if (t.number in study.best) is on_front)
        texts = tuple(f"trial {number}" for _, _, number in chosen)
        xs, ys = tuple(x for x, _, _ in chosen), tuple(y for _, y, _ in chosen)
        series.append(Series("points", xs, ys, look, label, strong=on_front, texts=texts))
    panel = Panel(cut(f"{study.method} · {study.condition}"), Axis(study.objectives[1].name), Axis(_objective(study)), tuple(series))
    words = "Nothing bettered a trial of the front in both objectives."
    return _drawing(study, index, "pareto", "Pareto front", words, Chart((panel,), 3.2, 2.2))


def _drawing(study: Study, index: int, name: str, title: str, caption: str, figure: Figure | Chart) -> Drawing:
    heading = f"{title}: {study.method} · {study.condition}"
    return Drawing(f"{name}_{index + 1}", heading, _told([study]), f"{heading}. {caption}", figure)


def _told(studies: Sequence[Study]) -> str:
    best = [f"{study.method} {points[-1][2]:.4g} after {points[-1][0]} trials" for study in studies if (points := study.best_so_far())]
    return "Best validation score: " + ", ".join(best)


def _complete(study: Study) -> list[Trial]:
    return [trial for trial in study.trials if trial.state == "complete"]


def _names(study: Study) -> list[str]:
    return [name for name in study.space if any(name in trial.params for trial in _complete(study))]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _objective(study: Study) -> str:
    return f"validation {study.objectives[0].name}"


def _is_log(study: Study, name: str) -> bool:
    return "(log)" in study.space.get(name, "")


def _on_scale(study: Study, name: str, value: object) -> float:
    assert isinstance(value, int | float)
    return math.log10(value) if _is_log(study, name) else float(value)


def _positions(values: Sequence[object]) -> tuple[list[float], list[str]]:
    """Numbers as they are; of anything else, places along the axis with their names."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values], []  # type: ignore[arg-type]  # numbers, as was just seen
    names = sorted({str(value) for value in values})
    return [float(names.index(str(value))) for value in values], names


def _columns(study: Study, name: str, done: Sequence[Trial]) -> list[float]:
    positions, ticks = _positions([trial.params[name] for trial in done])
    return [math.log10(value) for value in positions] if _is_log(study, name) and not ticks else positions


def _scaled(columns: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each column from 0 to 1."""
    found = []
    for column in columns:
        low, high = min(column), max(column)
        found.append([(value - low) / (high - low) if high > low else 0.5 for value in column])
    return found


def _ends(name: str, done: Sequence[Trial]) -> str:
    values = [trial.params[name] for trial in done]
    positions, ticks = _positions(values)
    if ticks:
        return f"{ticks[0]} … {ticks[-1]}"
    return f"{min(positions):.3g} … {max(positions):.3g}"
