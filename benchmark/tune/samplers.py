"""Samplers by name. Each trial is drawn by a stream of its own, `search` on its position, so that parallel work changes no draw."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmark import seeds
from benchmark.errors import UserError, unknown
from benchmark.failures import NOT_FINITE
from benchmark.tune.settings import Spec, check_options
from benchmark.tune.views import seen

_KNOWN: Mapping[str, Callable[..., BaseSampler]] = {"tpe": TPESampler, "random": RandomSampler, "cmaes": CmaEsSampler, "gp": GPSampler}
NAMES = (*_KNOWN, "grid")
_NOT_OURS = {"self", "seed", "warn_independent_sampling", "constraints_func", "independent_sampler", "gamma", "weights", "source_trials"}
VOID, LOST = "void", "lost"
"""Attribute of a trial that counts for nothing, and its value where the process of the trial has died."""
RETRY_OF = "retry_of"
"""Attribute of a trial that tries a lost one again: the number of that one."""
KIND = "kind"
"""Attribute of a trial that failed: how."""


def make_sampler(spec: Spec, suite: str, *, conditional: bool, grid: Mapping[str, Sequence[Any]] | None = None) -> BaseSampler:
    """The sampler of a study; `grid`: the values by parameter where the sampler goes through a fixed set."""
    if spec.name == "grid":
        check_options("sampler", spec, ())
        assert grid is not None, "a grid search knows its grid"
        return _Grid(grid)
    if spec.name not in _KNOWN:
        raise UserError(f"--sampler: {unknown('sampler', spec.name, NAMES)}")
    known = [name for name in inspect.signature(_KNOWN[spec.name]).parameters if name not in _NOT_OURS]
    check_options("sampler", spec, known)
    more: dict[str, Any] = {"group": True, "multivariate": True} if spec.name == "tpe" and conditional else {}
    more |= {"warn_independent_sampling": False} if spec.name in ("cmaes", "gp") else {}
    return _Seeded(functools.partial(_quietly, _KNOWN[spec.name], **more, **spec.options), suite)


def _quietly(make: Callable[..., BaseSampler], **options: Any) -> BaseSampler:
    """Without Optuna's word that an option may change one day: its version stands with each study."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make(**options)
        except (TypeError, ValueError, ImportError) as error:
            raise UserError(f"--sampler: {error}") from error


def position(study: optuna.Study, trial: FrozenTrial) -> int:
    """Its number in a straight run: how many trials that count stand before it, or before the one that it tries again.

    A lost trial counts for the one that tries it again, which may have to draw its point: one number is never drawn for twice.
    """
    trials = {other.number: other for other in study.get_trials(deepcopy=False)}
    number = trial.number
    while (earlier := trials[number].user_attrs.get(RETRY_OF) if number in trials else None) is not None:
        number = earlier
    return sum(other.number < number and _stands_for_one(other) for other in trials.values())


def _stands_for_one(trial: FrozenTrial) -> bool:
    return RETRY_OF not in trial.user_attrs and trial.user_attrs.get(VOID, LOST) == LOST


class _Seeded(BaseSampler):
    """A sampler made anew for every trial, from the seed of the trial's position."""

    def __init__(self, make: Callable[..., BaseSampler], suite: str) -> None:
        self._make, self._suite = make, suite
        self._current: tuple[int, BaseSampler] | None = None
        self._learns_from_pruned = isinstance(make(seed=0), TPESampler)  # options are checked here too, before anything runs

    def _of(self, study: optuna.Study, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            seed = seeds.stream_seed("search", self._suite, position(study, trial)) % 2**32
            self._current = trial.number, self._make(seed=seed)
        return self._current[1]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._of(study, trial).sample_relative(self._seen(study), trial, search_space)

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        return self._of(study, trial).sample_independent(self._seen(study), trial, param_name, param_distribution)

    def _seen(self, study: optuna.Study) -> optuna.Study:
        """The study as the sampler learns from it: TPE, which passes over failures, would come back to where trainings diverge."""
        if not self._learns_from_pruned or len(study.directions) > 1:
            return study
        return seen(study, study._storage, _as_pruned)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._of(study, trial).before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._of(study, trial).after_trial(study, trial, state, values)


def _as_pruned(trial: FrozenTrial) -> FrozenTrial:
    """A training that diverged looks like a pruned one without a report: TPE ranks those last."""
    if trial.state != TrialState.FAIL or trial.user_attrs.get(KIND) != NOT_FINITE:
        return trial
    shown = copy.copy(trial)
    shown.state, shown.intermediate_values = TrialState.PRUNED, {}
    return shown


class _Grid(BaseSampler):
    """The product of fixed sets, point by point in the order of positions. Optuna's own one cannot be asked and told."""

    def __init__(self, grid: Mapping[str, Sequence[Any]]) -> None:
        self._points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        return self._points[position(study, trial) % len(self._points)][param_name]
