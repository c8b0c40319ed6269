"""What has come out: studies as the records that reports and trackers read, with the importance of each parameter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmark.studies import Study, Trial
from benchmark.studies import TrialState as Word
from benchmark.tune.groups import condition_words
from benchmark.tune.samplers import KIND, LOST, RETRY_OF, VOID
from benchmark.tune.study import MESSAGE, SCORES, SECONDS, StudyOf, reports_of
from benchmark.tune.tuner import VERSION

MIN_TRIALS = 8
"""Completed trials below which importances would say nothing."""
_STATES: Mapping[TrialState, Word] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
}


def study_record(of: StudyOf, url: str) -> Study:
    """A study as it stands."""
    trials = of.trials()
    methods = "+".join(dict.fromkeys(base.method.name for base in of.group.bases))
    return Study(
        of.name,
        methods,
        condition_words(of.group.base),
        of.settings.objectives,
        {
            path: domain.words + (" (where it applies)" if item.when.conditions else "")
            for path, (item, domain) in of.group.domains().items()
        },
        tuple(_trial(trial) for trial in trials if VOID not in trial.user_attrs),
        _best(of),
        importances(of.study),
        of.settings.sampler.words,
        of.settings.pruner.words,
        of.settings.budget,
        sum(trial.user_attrs.get(VOID) == LOST for trial in trials),
        str(of.study.user_attrs.get(VERSION, "")),
        url,
        of.settings.seconds,
        of.settings.jobs,
    )


def _trial(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    is_complete = trial.state == TrialState.COMPLETE
    began, ended = (at.timestamp() if at else 0.0 for at in (trial.datetime_start, trial.datetime_complete))
    return Trial(
        trial.number,
        _STATES[trial.state],
        dict(trial.params),
        tuple(trial.values) if is_complete and trial.values else (),
        attributes.get(KIND, ""),
        attributes.get(MESSAGE, ""),
        tuple((int(step), float(value)) for step, value in reports_of(trial)),
        attributes.get(SCORES, {}),
        attributes.get(SECONDS, 0.0),
        began,
        ended,
        attributes.get(RETRY_OF),
    )


def _best(of: StudyOf) -> tuple[int, ...]:
    """The best trial, the earliest of equals; of several objectives the Pareto front, the best by the first one in front."""
    complete = [trial for trial in of.trials() if trial.state == TrialState.COMPLETE and VOID not in trial.user_attrs]
    if not complete:
        return ()
    sign = 1 if of.settings.objectives[0].higher_is_better else -1
    if len(of.settings.objectives) == 1:
        return (max(complete, key=lambda trial: (sign * trial.values[0], -trial.number)).number,)
    front = sorted(of.study.best_trials, key=lambda trial: (-sign * trial.values[0], trial.number))
    return tuple(trial.number for trial in front)


def importances(study: optuna.Study) -> dict[str, float]:
    """PED-ANOVA (Watanabe et al. 2023) on the first objective, descending; empty with few or equal trials."""
    complete = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if len(complete) < MIN_TRIALS or len({trial.values[0] for trial in complete}) < 2:
        return {}
    names = _common(complete)
    if not names:
        return {}
    target = (lambda trial: trial.values[0]) if len(study.directions) > 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(study, params=names, target=target)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _common(trials: Sequence[FrozenTrial]) -> list[str]:
    """Parameters that every trial has and that vary: of the others nothing can be said."""
    shared = [name for name in trials[0].params if all(name in trial.params for trial in trials)]
    return [name for name in shared if len({trial.params[name] for trial in trials}) > 1]
