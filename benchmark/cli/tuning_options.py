"""The options of `skewbench tune`, passed on as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmark.cli.units import seconds
from benchmark.errors import UserError
from benchmark.tune.settings import DEFAULT_JOBS, DEFAULT_PER, DEFAULT_TRIALS, Settings, checked, parse_spec

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Wanted:
    """What a tuning is asked for on the command line."""

    trials: int | None
    budget: float | None
    sampler: str
    pruner: str
    metric: tuple[str, ...]
    per: str
    jobs: int
    trial_seeds: int
    seeds_final: int | None
    storage: str | None
    apply: Path | None
    dashboard: bool
    port: int

    @property
    def settings(self) -> Settings:
        """Checked; UserError for what cannot be."""
        if self.trials is not None and self.budget is not None:
            raise UserError("--trials and --budget: give the one or the other; every study gets the same.")
        sampler = parse_spec(self.sampler, "--sampler")
        trials = None if self.budget is not None else self.trials if self.trials or sampler.name == "grid" else DEFAULT_TRIALS
        per = tuple(axis.strip() for axis in self.per.split(","))
        pruner, metrics = parse_spec(self.pruner, "--pruner"), self.metric or ("auc",)
        made = Settings(trials, self.budget, sampler, pruner, metrics, self.jobs, self.trial_seeds, per)
        return checked(made)

    @property
    def arguments(self) -> list[str]:
        """The options that make a study what it is, to repeat the command."""
        defaults = {"sampler": "tpe", "pruner": "asha", "per": ",".join(DEFAULT_PER), "jobs": DEFAULT_JOBS, "trial_seeds": 1}
        given = [(name, getattr(self, name)) for name in (*defaults, "trials", "seeds_final", "storage")]
        found = [text for name, value in given if value != defaults.get(name) for text in (f"--{name.replace('_', '-')}", str(value))]
        found += ["--budget", f"{self.budget:g}s"] if self.budget is not None else []
        return found + [text for name in self.metric for text in ("--metric", name)]


def tuning_options(function: F) -> F:
    """The options, passed on as one `wanted`."""

    @functools.wraps(function)
    def collected(**given: Any) -> Any:
        wanted = Wanted(**{item.name: given.pop(item.name) for item in fields(Wanted)})
        return function(wanted=wanted, **given)

    wrapped: Any = collected
    for decorate in reversed(_OPTIONS):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable a callable


_OPTIONS: Sequence[Any] = (
    click.option("--trials", type=click.IntRange(min=1), help=f"Trials of each study (default: {DEFAULT_TRIALS}; a grid: all of it)."),
    click.option("--budget", type=seconds, metavar="TIME", help="Instead: seconds of training of each study (30min, 2h)."),
    click.option("--sampler", default="tpe", show_default=True, metavar="NAME[{OPTIONS}]", help="tpe, random, grid, cmaes or gp."),
    click.option(
        "--pruner", default="asha", show_default=True, metavar="NAME[{OPTIONS}]",
        help="asha, hyperband, median: by validation scores on the way; wilcoxon: from seed to seed (with --trial-seeds); none.",
    ),
    click.option("--metric", multiple=True, metavar="NAME", help="Objective on validation (default: auc); several: Pareto."),
    click.option(
        "--per", default=",".join(DEFAULT_PER), metavar="AXES", help="One study for each (default: dataset,imbalance,method,model)."
    ),
    click.option(
        "--jobs", type=click.IntRange(min=1), default=DEFAULT_JOBS, show_default=True,
        help="Trials of a study that are under way together; draws depend on it, not on the number of workers.",
    ),
    click.option("--trial-seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds of each trial."),
    click.option("--seeds-final", type=click.IntRange(min=0), help="Fresh seeds for the winners (default: the suite's; 0: none)."),
    click.option("--storage", metavar="URL", help="SQLAlchemy URL or journal:FILE (default: a SQLite file in the store)."),
    click.option("--apply", type=click.Path(path_type=Path, dir_okay=False), help="Write the winners into this new suite file."),
    click.option("--dashboard", is_flag=True, help="Show the studies in optuna-dashboard instead of tuning."),
    click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Of the dashboard, on this machine alone."),
)  # fmt: skip
