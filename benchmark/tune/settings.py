"""What a tuning is asked for: budget, sampler, pruner, objectives, seeds; read from the command line and checked."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark import registry
from benchmark.errors import InvalidValue, UserError, unknown
from benchmark.language.document import parse
from benchmark.metrics import Metric
from benchmark.studies import Objective

SECONDS = "seconds"
"""The objective that is no metric: seconds of training."""
DEFAULT_TRIALS = 20
DEFAULT_JOBS = 4
DEFAULT_PER = ("dataset", "imbalance", "method", "model")
_SPEC = re.compile(r"\s*([a-z-]+)\s*(\{.*\})?\s*", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A sampler or pruner by name with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        given = ", ".join(f"{name}: {value}" for name, value in sorted(self.options.items()))
        return f"{self.name}{{{given}}}" if given else self.name


def parse_spec(text: str, option: str) -> Spec:
    """`tpe` or `tpe{n_startup_trials: 5}`; UserError where it is neither."""
    found = _SPEC.fullmatch(text)
    if not found:
        raise UserError(f"{option} {text}: expected a name, with options in braces if any: `{option} 'tpe{{n_startup_trials: 5}}'`.")
    options = parse(found[2], source=f"{option} {text}", lines=False).plain if found[2] else {}
    return Spec(found[1], options or {})


@dataclass(frozen=True)
class Settings:
    """What the studies of a tuning have in common."""

    trials: int | None = DEFAULT_TRIALS
    """Per study; None where `seconds` is the budget."""
    seconds: float | None = None
    """Of training, per study."""
    sampler: Spec = Spec("tpe")
    pruner: Spec = Spec("asha")
    metrics: tuple[str, ...] = ("auc",)
    jobs: int = DEFAULT_JOBS
    """Trials of one study that are under way together. Draws depend on it, never on the number of workers."""
    trial_seeds: int = 1
    per: tuple[str, ...] = DEFAULT_PER

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return tuple(Objective(name, name != SECONDS and metric_of(name).higher_is_better) for name in self.metrics)

    @property
    def budget(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g} s of training"
        return f"{self.trials} trials" if self.trials else "the whole grid"

    @property
    def identity(self) -> dict[str, Any]:
        """What makes a study another one; the budget may grow."""
        own = {"sampler": self.sampler, "pruner": self.pruner}
        named = {name: {"name": spec.name, "options": dict(spec.options)} for name, spec in own.items()}
        return {**named, "metrics": list(self.metrics), "jobs": self.jobs, "trial_seeds": self.trial_seeds}


def metric_of(name: str) -> Metric:
    """The metric of an objective; UserError with the nearest name."""
    try:
        made = registry.build("metrics", name)
    except InvalidValue as error:
        raise UserError(f"--metric: {error.problem} `{SECONDS}` (of training) is one too.") from None
    assert isinstance(made, Metric)
    return made


def checked(settings: Settings) -> Settings:
    """The settings, their words reduced to names; UserError for what cannot be."""
    metrics = tuple(map(_objective, settings.metrics))
    if len(set(metrics)) < len(metrics):
        raise UserError("--metric: the same objective stands twice.")
    if metrics == (SECONDS,):
        raise UserError(f"--metric {SECONDS} alone would choose the least training: name a metric first, `--metric auc --metric seconds`.")
    for axis in settings.per:
        if axis not in DEFAULT_PER:
            raise UserError(f"--per: {unknown('axis', axis, DEFAULT_PER)}")
    several = len(metrics) > 1
    if several and settings.pruner.name not in ("none", "asha"):
        raise UserError(f"--pruner {settings.pruner.name}: with several objectives nothing is pruned (Optuna knows no rule). Leave it out.")
    return dataclasses.replace(settings, metrics=metrics, pruner=Spec("none") if several else settings.pruner)


def _objective(given: str) -> str:
    name = given.removeprefix("validation.")
    if name.startswith("test."):
        raise UserError(f"--metric {name}: trials are compared on the validation part only. Say `--metric {name[5:]}`.")
    if name != SECONDS:
        metric_of(name)
    return name


def check_options(what: str, spec: Spec, known: Sequence[str]) -> None:
    """UserError for an option that a sampler or pruner does not have."""
    for option in spec.options:
        if option not in known:
            raise UserError(f"{unknown(f'option of {what} {spec.name}:', option, known)}")
