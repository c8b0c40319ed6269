"""A study as somebody is to see it: the stored one stays as it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Look = Callable[[FrozenTrial], FrozenTrial | None]
"""What a trial looks like; None: it is not seen."""


def seen(study: optuna.Study, storage: BaseStorage, look: Look) -> optuna.Study:
    """The study with its trials as `look` shows them, to be read from alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view = cast(BaseStorage, _View(storage, look))
        return optuna.load_study(study_name=study.study_name, storage=view, sampler=study.sampler, pruner=study.pruner)


class _View:
    """A storage whose trials are looked at first."""

    def __init__(self, storage: BaseStorage, look: Look) -> None:
        self._whole, self._look = storage, look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        looked = (self._look(trial) for trial in self._whole.get_all_trials(study_id, deepcopy=deepcopy))
        return [trial for trial in looked if trial is not None and (states is None or trial.state in states)]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        trials = [trial for trial in self.get_all_trials(study_id) if trial.state == TrialState.COMPLETE and trial.value is not None]
        if not trials:
            raise ValueError("no trial is completed yet")
        highest = self._whole.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE
        return (max if highest else min)(trials, key=lambda trial: cast(float, trial.value))
