"""Pruners by name, where they look (percent of a training, or seeds), and their verdict on one trial.

A trial is judged against those that had ended before its round began, never against its siblings: so the verdict does not depend on which
worker was faster.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner, WilcoxonPruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from benchmark.errors import UserError, unknown
from benchmark.tune.settings import Spec, check_options
from benchmark.tune.views import seen

_KNOWN: Mapping[str, Callable[..., BasePruner]] = {
    "asha": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "median": MedianPruner,
    "wilcoxon": WilcoxonPruner,
    "none": NopPruner,
}
NAMES = tuple(_KNOWN)
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "asha": {"min_resource": 10, "reduction_factor": 3},
    "hyperband": {"min_resource": 10, "max_resource": 100, "reduction_factor": 3},
}
"""Resources are percent of a training."""
_EVENLY = (20, 40, 60, 80)


def make_pruner(spec: Spec) -> BasePruner:
    """The pruner; UserError for a name or an option that there is not."""
    if spec.name not in _KNOWN:
        raise UserError(f"--pruner: {unknown('pruner', spec.name, NAMES)}")
    check_options("pruner", spec, list(inspect.signature(_KNOWN[spec.name]).parameters) if spec.name != "none" else ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's word that it may change one day: its version stands with each study
        try:
            return _KNOWN[spec.name](**{**_DEFAULTS.get(spec.name, {}), **spec.options})
        except (TypeError, ValueError, ImportError) as error:
            raise UserError(f"--pruner {spec.words}: {error}") from error


def rungs_of(spec: Spec) -> tuple[int, ...]:
    """After which percent of a training its validation score is looked at; none for a pruner that goes by seeds, or for none."""
    if spec.name in ("none", "wilcoxon"):
        return ()
    if spec.name == "median":
        return _EVENLY
    options = {**_DEFAULTS[spec.name], **spec.options}
    first, factor = options["min_resource"], options["reduction_factor"]
    if not isinstance(first, int) or not 0 < first < 100:
        raise UserError(f"--pruner {spec.words}: min_resource is percent of a training: expected a whole number from 1 to 99.")
    found = [first]
    while found[-1] * factor < 100:
        found.append(found[-1] * factor)
    return tuple(found)


def goes_by_seeds(spec: Spec) -> bool:
    """Whether a trial is judged after each of its seeds."""
    return spec.name == "wilcoxon"


def is_hopeless(study: optuna.Study, storage: BaseStorage, trial: FrozenTrial, visible: frozenset[int]) -> bool:
    """The pruner's verdict on a trial from what it has reported, with the trials `visible` (by number) to compare with."""
    numbers = visible | {trial.number}
    view = seen(study, storage, lambda other: other if other.number in numbers else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(study.pruner.prune(view, trial))
