"""What reports and trackers see of a tuning: studies, their trials, and tuned against untuned. All frozen, all plain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

CELLS = "tune/"
"""Before a suite's name: the cells that its winners are compared by, which are recorded like those of a suite but are no suite to run."""
TrialState = Literal["complete", "pruned", "failed", "running"]
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Objective:
    """What a study optimises, on the validation part: `auc`, or `seconds` of training."""

    name: str
    higher_is_better: bool


@dataclass(frozen=True)
class Trial:
    """One point of a study and how it ended. Only a complete trial has values."""

    number: int
    state: TrialState
    params: Mapping[str, Value]
    values: tuple[float, ...] = ()
    """By objective."""
    kind: str = ""
    """Of a pruned or failed one: pruned, not-finite, out-of-memory-host, timeout, error (…)."""
    message: str = ""
    reports: tuple[tuple[int, float], ...] = ()
    """(percent of the training, or number of the seed; validation score) as seen on the way."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Every metric of the suite on the validation part."""
    seconds: float = 0.0
    """Of training and predicting, alone: what it shares with others counts in full."""
    started: float = 0.0
    ended: float = 0.0
    """Unix seconds."""
    retry_of: int | None = None


@dataclass(frozen=True)
class Study:
    """A search over the parameters of one group of cells."""

    name: str
    method: str
    condition: str
    """Data set, imbalance and model in words."""
    objectives: tuple[Objective, ...]
    space: Mapping[str, str]
    """What each parameter may be, in words."""
    trials: tuple[Trial, ...]
    """Those that count; lost ones that were tried again are left out."""
    best: tuple[int, ...] = ()
    """Number of the best trial, or of those on the Pareto front, the winner first."""
    importances: Mapping[str, float] = field(default_factory=dict)
    """Share of each parameter in how good trials differ from the others (PED-ANOVA), descending; empty with too few trials."""
    sampler: str = ""
    pruner: str = ""
    budget: str = ""
    """As it was asked for: `30 trials`, `2 h of training`."""
    num_lost: int = 0
    """Trials that were lost with their process and tried again."""
    optuna: str = ""
    """Version."""
    storage: str = ""
    """URL without a password."""
    budget_seconds: float | None = None
    """The budget where it is time, else None."""
    jobs: int = 1
    """Trials that were under way together: a budget of time may be exceeded by so many."""

    @property
    def winner(self) -> Trial | None:
        """The best trial; with several objectives the best by the first one."""
        return next((trial for trial in self.trials if self.best and trial.number == self.best[0]), None)

    @property
    def seconds(self) -> float:
        """Spent by all trials."""
        return sum(trial.seconds for trial in self.trials)

    def count(self, state: TrialState) -> int:
        return sum(trial.state == state for trial in self.trials)

    def best_so_far(self) -> list[tuple[int, float, float]]:
        """(trials, seconds, best value of the first objective) after each trial that bettered it and after the last one."""
        sign = 1 if self.objectives[0].higher_is_better else -1
        best, spent, found = float("nan"), 0.0, []
        for count, trial in enumerate(self.trials, start=1):
            spent += trial.seconds
            better = trial.state == "complete" and not (sign * trial.values[0] <= sign * best)
            best = trial.values[0] if better else best
            if (better or count == len(self.trials)) and best == best:
                found.append((count, spent, best))
        return found


@dataclass(frozen=True)
class Comparison:
    """The winner of a study against the values that the suite states, on the test part, re-trained with seeds no trial has seen."""

    study: str
    metric: str
    higher_is_better: bool
    untuned: Mapping[int, float]
    """By seed."""
    tuned: Mapping[int, float]


@dataclass(frozen=True)
class Tuning:
    """A suite's tuning, partial or whole."""

    suite: str
    studies: tuple[Study, ...]
    comparisons: tuple[Comparison, ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()
    """What a reader must know: unequal budgets, studies without a winner."""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Tuning:
        """The tuning that `document` was made of."""
        comparisons = [{**item, **{side: _by_seed(item[side]) for side in ("untuned", "tuned")}} for item in document["comparisons"]]
        return cls(
            document["suite"],
            tuple(_study(item) for item in document["studies"]),
            tuple(Comparison(**item) for item in comparisons),
            document["command"],
            tuple(document["notes"]),
        )


def unequal(studies: Sequence[Study]) -> str:
    """In words, if studies had unequal numbers of trials, or unequal times where time is the budget; empty where all had the same."""
    if any(study.budget_seconds is not None for study in studies):
        return _unequal_seconds(studies)
    counts = {study.name: len(study.trials) for study in studies}
    if len(set(counts.values())) < 2:
        return ""
    return "Unequal budgets: " + ", ".join(f"{name}: {count} trials" for name, count in counts.items()) + "."


def _unequal_seconds(studies: Sequence[Study]) -> str:
    """A study ends with the round that uses its budget up: what a round may take is no difference."""
    spent = {study.name: study.seconds for study in studies}
    round_ = max(study.jobs * max((trial.seconds for trial in study.trials), default=0.0) for study in studies)
    if max(spent.values()) - min(spent.values()) <= round_:
        return ""
    return "Unequal budgets: " + ", ".join(f"{name}: {seconds:.3g} s of training" for name, seconds in spent.items()) + "."


def _by_seed(values: Mapping[str, float]) -> dict[int, float]:
    return {int(seed): value for seed, value in values.items()}


def _study(document: Mapping[str, Any]) -> Study:
    lists = {"objectives": tuple(Objective(**item) for item in document["objectives"]), "best": tuple(document["best"])}
    return Study(**{**document, **lists, "trials": tuple(_trial(item) for item in document["trials"])})


def _trial(document: Mapping[str, Any]) -> Trial:
    reports = tuple((int(step), float(value)) for step, value in document["reports"])
    return Trial(**{**document, "values": tuple(document["values"]), "reports": reports})
