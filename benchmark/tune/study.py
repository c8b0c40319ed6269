"""One study: trials asked for and told, each under a lease of ours, so that none is lost or done twice whoever is killed."""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from benchmark.search import Domain, Options
from benchmark.tune.groups import Group, as_stored
from benchmark.tune.lease import LEASE, RENEW_SECONDS, is_dead, is_ours, new_lease
from benchmark.tune.samplers import KIND, LOST, RETRY_OF, VOID
from benchmark.tune.settings import Settings

MESSAGE, SECONDS, SCORES, STARTED = "message", "seconds", "scores", "started"
SURPLUS, DUPLICATE = "surplus", "duplicate"
"""Why a trial counts for nothing, but for LOST: it was asked for beyond the budget; another process had taken it up again."""


FRUITLESS = 50
"""So many trials in a row that cost no time at all end a study with a budget of time, which they would never use up."""


@dataclass(frozen=True)
class Told:
    """How a trial ended."""

    state: TrialState
    values: tuple[float, ...] = ()
    kind: str = ""
    message: str = ""
    seconds: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass
class StudyOf:
    """A group's study in a storage."""

    group: Group
    settings: Settings
    storage: BaseStorage
    study: optuna.Study
    _renewed: float = 0.0

    @property
    def name(self) -> str:
        return self.study.study_name

    # -- what is there

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def counted(self) -> list[FrozenTrial]:
        """The trials that count, those under way included, in order."""
        return [trial for trial in self.trials() if VOID not in trial.user_attrs]

    def finished(self) -> frozenset[int]:
        """Numbers of the trials that have ended."""
        return frozenset(trial.number for trial in self.trials() if trial.state.is_finished())

    @property
    def spent(self) -> float:
        """Seconds that the trials took."""
        return float(sum(trial.user_attrs.get(SECONDS, 0.0) for trial in self.counted()))

    @property
    def num_open(self) -> int:
        """How many more trials the budget allows to be asked for now; with a budget of time as many as stand together."""
        counted = self.counted()
        waiting = sum(trial.state == TrialState.WAITING for trial in counted)
        if waiting:  # what was lost comes first and alone, so that later draws see what they would have seen
            return min(waiting, self.settings.jobs)
        if self.settings.seconds is not None:
            return self.settings.jobs if self.spent < self.settings.seconds and not self._is_fruitless else 0
        assert self.limit is not None
        return max(0, min(self.settings.jobs, self.limit - len(counted)))

    @property
    def _is_fruitless(self) -> bool:
        """Whether the last trials have all failed before anything was computed, as where rules leave out nearly every point."""
        last = [trial for trial in self.counted() if trial.state.is_finished()][-FRUITLESS:]
        return len(last) == FRUITLESS and not any(trial.user_attrs.get(SECONDS) for trial in last)

    @functools.cached_property
    def limit(self) -> int | None:
        """Trials in all; None where time is the budget. A grid has as many as it has points, unless fewer are asked for."""
        if self.settings.trials is None and self.settings.seconds is None:
            return math.prod(map(len, self.group.grid().values()))
        return self.settings.trials

    @property
    def is_done(self) -> bool:
        """Whether the budget is used up and every trial has ended, those of other processes too."""
        return not self.num_open and all(trial.state.is_finished() for trial in self.trials())

    # -- asking

    def ask(self) -> list[optuna.Trial]:
        """As many new trials as stand together now, each under a lease; fewer where another process was quicker."""
        return [trial for _ in range(self.num_open) if (trial := self._ask()) is not None]

    def _ask(self) -> optuna.Trial | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self.study.ask()
        trial.set_user_attr(LEASE, new_lease())
        trial.set_user_attr(STARTED, time.time())
        why = self._why_void(trial)
        if why:
            self.void(trial.number, why)
            return None
        return trial

    def _why_void(self, trial: optuna.Trial) -> str:
        before = [other for other in self.trials() if other.number < trial.number and VOID not in other.user_attrs]
        retry_of = trial.user_attrs.get(RETRY_OF)
        if retry_of is not None and any(other.user_attrs.get(RETRY_OF) == retry_of for other in before):
            return DUPLICATE
        return SURPLUS if self.limit is not None and len(before) >= self.limit else ""

    def values(self, trial: optuna.Trial) -> dict[str, Any]:
        """The point of a trial, as the suite's language has it: drawn now, or what was drawn before for one that is tried again."""

        def pick(path: str, domain: Domain) -> Any:
            if isinstance(domain, Options):
                return as_stored(trial.suggest_categorical(path, domain.texts), domain)
            if domain.whole:
                return trial.suggest_int(path, int(domain.low), int(domain.high), log=domain.log, step=int(domain.step or 1))
            return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._grid_values(trial) if self.settings.sampler.name == "grid" else self.group.chosen(pick)

    def _grid_values(self, trial: optuna.Trial) -> dict[str, Any]:
        """In a grid search every parameter is one of its fixed set."""
        grid = self.group.grid()
        return self.group.chosen(lambda path, domain: as_stored(trial.suggest_categorical(path, grid[path]), domain))

    def stored_values(self, trial: FrozenTrial) -> dict[str, Any]:
        """The point of a trial that has one in full; KeyError where its process died while it was drawn."""
        return self.group.chosen(lambda path, domain: as_stored(trial.params[path], domain))

    # -- telling

    def tell(self, number: int, told: Told) -> bool:
        """Record how a trial ended; False if it had been taken away meanwhile, as after a sleep longer than its lease."""
        attributes = {KIND: told.kind, MESSAGE: told.message, SECONDS: told.seconds, SCORES: dict(told.scores)}
        try:
            for name, value in attributes.items():
                if value:
                    self._set(number, name, value)
            values = list(told.values) if told.state == TrialState.COMPLETE else None
            self.study.tell(number, values, state=told.state)
        except (UpdateFinishedTrialError, ValueError):
            if not self.trials()[number].state.is_finished():
                raise
            return False
        return True

    def void(self, number: int, why: str) -> bool:
        """End a trial that counts for nothing; False if another process has."""
        try:
            self._set(number, VOID, why)
            self.study.tell(number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            return False
        return True

    def _set(self, number: int, name: str, value: Any) -> None:
        study_id = self.storage.get_study_id_from_name(self.name)
        self.storage.set_trial_user_attr(self.storage.get_trial_id_from_study_id_trial_number(study_id, number), name, value)

    def renew(self) -> None:
        """Extend our leases, now and then."""
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = time.monotonic()
            for trial in self.trials():
                if trial.state == TrialState.RUNNING and is_ours(trial.user_attrs.get(LEASE)):
                    with contextlib.suppress(UpdateFinishedTrialError):  # another process has just ended it
                        self._set(trial.number, LEASE, new_lease())

    # -- what dead processes have left

    def reclaim(self, answer: Callable[[FrozenTrial], Told | None]) -> list[int]:
        """End the running trials of dead processes: by what the ledger says of them, else as lost, to be tried again; their numbers."""
        found = []
        for trial in self.trials():
            began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
            if trial.state == TrialState.RUNNING and is_dead(trial.user_attrs.get(LEASE), began):
                told = answer(trial)
                done = self.tell(trial.number, told) if told is not None else self.void(trial.number, LOST)
                found += [trial.number] if done else []
        self._retry_lost()
        return found

    def _retry_lost(self) -> None:
        """Queue every lost trial that is not tried again yet; also one whose finder was killed before it could."""
        trials = self.trials()
        tried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        for trial in trials:
            if trial.user_attrs.get(VOID) == LOST and trial.state == TrialState.FAIL and trial.number not in tried:
                self.study.enqueue_trial(dict(trial.params), user_attrs={RETRY_OF: trial.number})


def reports_of(trial: FrozenTrial) -> Sequence[tuple[int, float]]:
    """What a trial has reported, in order."""
    return sorted(trial.intermediate_values.items())
