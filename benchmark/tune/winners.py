"""Winners: what each study chose, re-trained with seeds that no trial has seen, against what the suite states. This reads the test part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.cells import Cell, Configuration
from benchmark.records import CellResult, MetricInfo
from benchmark.studies import Comparison, Study, unequal
from benchmark.tune.groups import Group


@dataclass(frozen=True)
class Winner:
    """A group with the values that its study chose; without values where nothing was searched or nothing completed."""

    group: Group
    study: str
    values: Mapping[str, Any]

    @property
    def tuned(self) -> list[Configuration]:
        return self.group.configurations(self.values) if self.values else []


def cells_of(winners: Sequence[Winner], seeds: Sequence[int]) -> list[Cell]:
    """Untuned and tuned cells, each with every seed."""
    configs = [config for winner in winners if winner.values for config in (*winner.group.bases, *winner.tuned)]
    distinct = {text_of(config): config for config in configs}
    return [Cell(config, seed) for config in distinct.values() for seed in seeds]


def compared(
    winners: Sequence[Winner], results: Sequence[CellResult], metrics: Sequence[MetricInfo], keys: Mapping[tuple[str, int], str]
) -> tuple[Comparison, ...]:
    """Untuned and tuned by seed, means over a group's cells. `keys`: the cell key by (text of the configuration, seed)."""
    by_key = {result.key: result for result in results}
    seeds = sorted({seed for _, seed in keys})
    found = []
    for winner in winners:
        for info in metrics if winner.values else ():
            sides = [
                {seed: value for seed in seeds if math.isfinite(value := _score(configs, seed, info.name, keys, by_key))}
                for configs in (winner.group.bases, winner.tuned)
            ]
            found.append(Comparison(winner.study, info.name, info.higher_is_better, *sides))
    return tuple(found)


def _score(
    configs: Sequence[Configuration], seed: int, metric: str, keys: Mapping[tuple[str, int], str], results: Mapping[str, CellResult]
) -> float:
    values = []
    for config in configs:
        result = results.get(keys.get((text_of(config), seed), ""))
        values.append(result.metrics.get(metric, math.nan) if result is not None and result.status == "ok" else math.nan)
    return sum(values) / len(values) if values else math.nan


def text_of(config: Configuration) -> str:
    """A configuration in full, to tell two apart."""
    return "\n".join(part.text for part in (config.dataset, config.imbalance, config.method, config.model, config.recipe))


def budget_notes(studies: Sequence[Study]) -> list[str]:
    """What a reader must know of budgets and of studies without a winner."""
    notes = [unequal(studies)] if unequal(studies) else []
    for study in studies:
        if study.winner is None:
            notes.append(f"{study.name}: no trial completed, so there is no winner.")
        if study.count("running"):
            notes.append(f"{study.name}: {study.count('running')} trials were still running.")
    return notes
