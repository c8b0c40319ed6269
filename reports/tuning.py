"""The report of a tuning: budgets and winners, tuned against untuned, best so far, importances, and what each study has looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.studies import Comparison, Study, Tuning
from benchmark.summary import mean_of, paired_difference, shown_difference, shown_mean
from reports.charts import Drawing
from reports.page import Head
from reports.section import Block, Section, Text
from reports.table import Column, Shown, Table, number
from reports.tuning_figures import best_so_far, contour, importances, parallel, pareto, slices
from reports.write import PAGE, Formats, check_is_ours, page_files, put_files

MAX_STUDIES = 12
"""Studies that are drawn one by one; the tables hold all."""


def write_tuning(tuning: Tuning, folder: Path) -> Path:
    """Write `index.html`, `tables/` and `figures/` of a tuning into the folder; the page's path. UserError for somebody else's folder."""
    check_is_ours(folder)
    put_files(build_tuning(tuning), folder)
    return folder / PAGE


def build_tuning(tuning: Tuning) -> dict[str, bytes]:
    """Every file by its path in the folder, the page last."""
    sentences = (f"{budgets_told(tuning.studies)} Trials were scored on the validation part alone.",)
    return page_files(Head(tuning.suite, f"Tuning of {tuning.suite}", sentences), tuning_sections(tuning), Formats())


def tuning_sections(tuning: Tuning) -> list[Section]:
    """Budgets, what tuning gained, what mattered, every trial."""
    notes = [Text(note, lead="Note. ", kind="warning") for note in tuning.notes]
    drawings = [drawing for drawing in (best_so_far(tuning.studies),) if drawing]
    found = [Section("budget", "Budget and best so far", [*notes, studies_table(tuning.studies), *drawings])]
    if tuning.comparisons:
        found.append(Section("tuned", "Tuned against untuned", [comparison_table(tuning.comparisons)]))
    if looked := _looked(tuning.studies):
        found.append(Section("studies", "What mattered", looked))
    kept = tuning.studies[0]
    how = Text(f"Optuna {kept.optuna}, kept in {kept.storage}. Command: ", code=tuning.command)
    return [*found, Section("trials", "Trials", [trials_table(tuning.studies), how])]


def _looked(studies: Sequence[Study]) -> list[Block]:
    """Of all studies together, then of each of the first MAX_STUDIES with trials to draw."""
    found: list[Drawing | None] = [importances(studies)]
    for index, study in enumerate(studies[:MAX_STUDIES]):
        found += [draw(study, index) for draw in (pareto, slices, contour, parallel)]
    return [drawing for drawing in found if drawing]


def short(name: str) -> str:
    """A study's name without the suite and its digest."""
    return name.partition(": ")[2].partition(" [")[0] or name


def budgets_told(studies: Sequence[Study]) -> str:
    """The budgets in a sentence."""
    counts = sorted({len(study.trials) for study in studies})
    seconds = [study.seconds for study in studies]
    equal = f"{counts[0]} trials each" if len(counts) == 1 else f"from {counts[0]} to {counts[-1]} trials"
    spread = f"{min(seconds):.0f} to {max(seconds):.0f} s" if len(seconds) > 1 else f"{seconds[0]:.0f} s"
    return f"{len(studies)} studies of {equal}; trainings and predictions of a study took {spread}."


def studies_table(studies: Sequence[Study]) -> Table:
    """One row a study: what it was given, what it spent, what it found."""
    columns = (
        Column("study", prose=True), Column("sampler"), Column("pruner"), Column("trials", numeric=True), Column("complete", numeric=True),
        Column("pruned", numeric=True), Column("failed", numeric=True), Column("training", "s", numeric=True), Column("objective"),
        Column("best on validation", numeric=True), Column("winner", prose=True),
    )  # fmt: skip
    rows, tidy = [], []
    for study in studies:
        winner = study.winner
        best = winner.values[0] if winner else None
        params = ", ".join(f"{path} = {_text(value)}" for path, value in winner.params.items()) if winner else "no trial completed"
        counts = [len(study.trials), *(study.count(state) for state in ("complete", "pruned", "failed"))]
        objective = ", ".join(item.name for item in study.objectives)
        rows.append((
            Shown(short(study.name)), Shown(study.sampler), Shown(study.pruner), *(Shown(str(count), count) for count in counts),
            number(study.seconds, 1), Shown(objective), number(best, 4), Shown(params),
        ))  # fmt: skip
        tidy.append((study.name, study.sampler, study.pruner, *counts, study.seconds, objective, best, params))
    caption = "Studies: the same budget for each; the best value is that of one trial on the validation part, chosen as the best of many."
    return Table("studies", caption, columns, tuple(rows), columns, tuple(tidy))


def trials_table(studies: Sequence[Study]) -> Table:
    """One row a trial, ended as it was."""
    columns = (
        Column("study", prose=True), Column("trial", numeric=True), Column("state"), Column("value", numeric=True),
        Column("seconds", "s", numeric=True), Column("parameters", prose=True), Column("why", prose=True),
    )  # fmt: skip
    rows, tidy = [], []
    for study in studies:
        for trial in study.trials:
            value = trial.values[0] if trial.values else None
            params = ", ".join(f"{path} = {_text(given)}" for path, given in trial.params.items())
            why = ": ".join(filter(None, (trial.kind, trial.message)))
            state = trial.state + (f" (again, was {trial.retry_of})" if trial.retry_of is not None else "")
            mark = "best" if trial.number in study.best else ""
            rows.append((
                Shown(short(study.name)), Shown(str(trial.number), trial.number), Shown(state),
                Shown(number(value, 4).text, value, mark), number(trial.seconds, 1), Shown(params), Shown(why),
            ))  # fmt: skip
            tidy.append((study.name, trial.number, state, value, trial.seconds, params, why))
    caption = "Trials. Only a complete one has a value; pruned and failed ones are what they are, never a score."
    return Table("trials", caption, columns, tuple(rows), columns, tuple(tidy))


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Untuned against tuned on the test part, paired over seeds that no trial has seen."""
    columns = (
        Column("study", prose=True), Column("metric"), Column("untuned", numeric=True), Column("tuned", numeric=True),
        Column("tuned − untuned", numeric=True), Column("seeds", numeric=True),
    )  # fmt: skip
    tidy_columns = (Column("study"), Column("metric"), Column("seed"), Column("untuned"), Column("tuned"))
    rows, tidy = [], []
    for item in comparisons:
        untuned, tuned = mean_of(item.untuned.values()), mean_of(item.tuned.values())
        difference = paired_difference(item.tuned, item.untuned)
        arrow = f"{item.metric} {'↑' if item.higher_is_better else '↓'}"
        rows.append((
            Shown(short(item.study)), Shown(arrow), Shown(shown_mean(untuned), untuned.mean), Shown(shown_mean(tuned), tuned.mean),
            Shown(shown_difference(difference), difference.mean), Shown(str(difference.num), difference.num),
        ))  # fmt: skip
        seeds = sorted({*item.untuned, *item.tuned})
        tidy += [(item.study, item.metric, seed, item.untuned.get(seed), item.tuned.get(seed)) for seed in seeds]
    caption = (
        "Untuned (what the suite states) against tuned (each study's winner) on the test part, re-trained with seeds that no trial "
        "has seen. Mean ± half-width of the 95 % t-interval; the difference is paired, unadjusted for their number."
    )
    return Table("untuned-tuned", caption, columns, tuple(rows), tidy_columns, tuple(tidy))


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
