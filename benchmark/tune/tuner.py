"""A suite's tuning from its first trial to its winners: rounds until every study's budget is spent, whoever else works on it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from benchmark.errors import InvalidValue, UserError
from benchmark.run import Interrupted
from benchmark.tune.groups import Group, study_name
from benchmark.tune.pruners import make_pruner, rungs_of
from benchmark.tune.rounds import INVALID, Live, Rounds
from benchmark.tune.samplers import make_sampler
from benchmark.tune.settings import Settings
from benchmark.tune.storage import translated
from benchmark.tune.study import StudyOf, Told

WAIT_SECONDS = 1.0
"""How often to look whether another process has ended its trials."""
VERSION, METHOD, SUITE = "optuna_version", "method", "suite"
"""Attributes of a study."""


def open_studies(
    groups: Sequence[Group], keys: Sequence[Sequence[str]], settings: Settings, storage: BaseStorage, url: str
) -> list[StudyOf]:
    """The study of every group that has something to search, made where it is new. `keys`: the stages of each group's untuned cells."""
    for group in groups:
        _check_pruner(group, settings)
    found = []
    for group, own in zip(groups, keys, strict=True):
        if group.dimensions:
            with translated(url):
                found.append(_open(group, study_name(group, settings, own), settings, storage))
    return found


def _check_pruner(group: Group, settings: Settings) -> None:
    """UserError for several trainings with one seed that would all report into their trial: which one it goes by would be chance."""
    if group.dimensions and len(group.bases) > 1 and rungs_of(settings.pruner):
        raise UserError(
            f"--pruner {settings.pruner.name} looks at a training on the way, but with --per {','.join(settings.per)} a trial of "
            f"{'+'.join(dict.fromkeys(base.method.name for base in group.bases))} has {len(group.bases)} trainings, and which of them is "
            "seen first would be chance. Add --pruner none, or --pruner wilcoxon with --trial-seeds."
        )


def _open(group: Group, name: str, settings: Settings, storage: BaseStorage) -> StudyOf:
    grid = group.grid() if settings.sampler.name == "grid" else None
    sampler = make_sampler(settings.sampler, group.suite, conditional=group.is_conditional, grid=grid)
    directions = [StudyDirection.MAXIMIZE if item.higher_is_better else StudyDirection.MINIMIZE for item in settings.objectives]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=sampler,
            pruner=make_pruner(settings.pruner),
            directions=directions,
            load_if_exists=True,
        )
    attributes = {VERSION: optuna.__version__, METHOD: group.base.method.name, SUITE: group.suite}
    for key, value in attributes.items():
        if key not in study.user_attrs:
            study.set_user_attr(key, value)
    return StudyOf(group, settings, storage, study)


@dataclass
class Tuner:
    """Brings the studies to the ends of their budgets."""

    studies: Sequence[StudyOf]
    rounds: Rounds
    should_stop: Callable[[], bool] = lambda: False
    trial_ended: Callable[[StudyOf, int, Told], None] = lambda _study, _number, _told: None
    waiting: Callable[[int], None] = lambda _: None
    """Told how many trials other processes are at, when there is nothing else to do."""
    url: str = ""
    _told_waiting: bool = field(default=False)

    def run(self) -> None:
        """Interrupted if asked to stop; what is running then is taken up again by whoever goes on."""
        with translated(self.url):
            while not all(study.is_done for study in self.studies):
                if self.should_stop():
                    raise Interrupted
                for study in self.studies:
                    study.reclaim(lambda trial, study=study: self._answer(study, trial))  # type: ignore[misc]  # bound now
                lives = [live for study in self.studies for live in self._asked(study)]
                if lives:
                    self._round(lives)
                elif not all(study.is_done for study in self.studies):
                    self._wait()

    def _asked(self, study: StudyOf) -> list[Live]:
        visible = study.finished()
        lives = []
        for trial in study.ask():
            try:
                lives.append(Live(study, trial, study.values(trial), visible))
            except InvalidValue as error:
                self._tell(study, trial.number, Told(optuna.trial.TrialState.FAIL, kind=INVALID, message=error.problem))
        return lives

    def _round(self, lives: Sequence[Live]) -> None:
        for live, told in self.rounds.run(lives):
            self._tell(live.study, live.number, told)

    def _tell(self, study: StudyOf, number: int, told: Told) -> None:
        if study.tell(number, told):
            self.trial_ended(study, number, told)

    def _answer(self, study: StudyOf, trial: FrozenTrial) -> Told | None:
        """How the trial of a dead process ended, if its work is in the ledger."""
        try:
            live = Live(study, trial, study.stored_values(trial), frozenset())
        except (KeyError, ValueError, InvalidValue):  # it had died while the point was drawn
            return None
        return self.rounds.answer(live)

    def renew(self) -> None:
        """Extend the leases of what is under way."""
        for study in self.studies:
            study.renew()

    def _wait(self) -> None:
        running = sum(not trial.state.is_finished() for study in self.studies for trial in study.trials())
        if not self._told_waiting:
            self.waiting(running)
        self._told_waiting = True
        time.sleep(WAIT_SECONDS)
