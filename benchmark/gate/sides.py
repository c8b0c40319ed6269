"""The two sides of a check: cells of the baseline and of now, matched by configuration and seed, whatever code or data they rest on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.arrays import Arrays
from benchmark.evaluate import metric_label, score, scoring_key
from benchmark.gate.baseline import Baseline, BaselineCell, pair_of, setting_of
from benchmark.gate.images import ImageTest, compare
from benchmark.gate.quality import Pair
from benchmark.gate.verdict import State
from benchmark.metrics import Metric
from benchmark.records import CellResult, Predictions


@dataclass(frozen=True)
class Now:
    """A planned cell as it stands now. `sha256` and `read`: its predictions, where it has any."""

    result: CellResult
    sha256: str = ""
    read: Callable[[], Arrays] | None = None
    reused_from: str = ""
    """Why a reused result says nothing about now: other libraries computed it. Empty where it does."""
    path: str = ""
    """Of the predictions in the store."""
    size: int = 0


@dataclass(frozen=True)
class Match:
    """One pair of cells; at least one side is there."""

    before: BaselineCell | None
    now: Now | None

    @property
    def result(self) -> CellResult:
        """Of either side, now first."""
        if self.now is not None:
            return self.now.result
        assert self.before is not None
        return self.before.result

    @functools.cached_property
    def pair(self) -> str:
        return pair_of(self.result.resolved)

    @functools.cached_property
    def setting(self) -> str:
        return setting_of(self.result.resolved)

    @property
    def is_same(self) -> bool:
        """The same predictions, to the bit."""
        return self.before is not None and self.now is not None and self.before.sha256 == self.now.sha256

    @property
    def state(self) -> State:
        if self.now is None or self.now.result.status == "missing":
            return "missing"
        if self.now.result.status != "ok":
            return "failed"
        if self.before is None:
            return "new"
        return "unchanged" if self.is_same and self.before.result.key == self.now.result.key else "measured"

    @property
    def reason(self) -> str:
        """Of a missing or failed cell."""
        if self.now is None:
            return "in the baseline, no longer in the suite"
        return self.now.result.reason or ("has not run" if self.state == "missing" else "")

    @property
    def why_not(self) -> str:
        """Why a pair whose both sides are there cannot be compared in quality; empty where it can."""
        if self.before is None or self.now is None:
            return ""
        old, new = self.before.result.resolved.get("fingerprint"), self.now.result.resolved.get("fingerprint")
        if old != new:
            return f"the data changed: fingerprint {str(old)[:12]} → {str(new)[:12]}"
        return self.now.reused_from


def match(baseline: Baseline, now: Sequence[Now], *, whole: bool) -> list[Match]:
    """Every pair in the order of now, then what only the baseline has if the `whole` suite was meant. Skipped cells are not there."""
    before = {cell.pair: cell for cell in baseline.cells}
    planned = [each for each in now if each.result.status != "skipped"]
    found = [Match(before.pop(pair_of(each.result.resolved), None), each) for each in planned]
    return found + ([Match(cell, None) for cell in before.values()] if whole else [])


@dataclass(frozen=True)
class Scores:
    """Metric values of both sides by the metrics as they are now, and paired tests on the predictions."""

    baseline: Baseline
    metrics: Sequence[Metric]
    _pairs: dict[tuple[str, str], Pair] = field(default_factory=dict)

    @functools.cached_property
    def _is_current(self) -> bool:
        return self.baseline.scoring == scoring_key(self.metrics)

    def before(self, cell: BaselineCell) -> Mapping[str, float]:
        """What the baseline's predictions score: by metrics that have changed since they are scored again."""
        if self._is_current:
            return cell.result.metrics
        return score(self.baseline.arrays(cell), self.metrics, cell.result.class_names, cell.result.class_counts).metrics

    def pair(self, metric: Metric, found: Match) -> Pair:
        """One metric of a pair whose both sides are there."""
        name = metric_label(metric)
        if (name, found.pair) not in self._pairs:
            self._pairs[name, found.pair] = self._paired(name, metric, found)
        return self._pairs[name, found.pair]

    def _paired(self, name: str, metric: Metric, found: Match) -> Pair:
        assert found.before is not None
        assert found.now is not None
        values = self.before(found.before), found.now.result.metrics
        then, since = (float(each[name]) if name in each else float("nan") for each in values)
        images = None if found.is_same else self._images(metric, found)
        return Pair(found.result.seed, then, since, is_same=found.is_same, images=images)

    def _images(self, metric: Metric, found: Match) -> ImageTest | None:
        """None where the two sides were not tested on the same images in the same order."""
        assert found.before is not None
        assert found.now is not None
        if found.now.read is None:
            return None
        before, after = _predictions(self.baseline.arrays(found.before), found.result), _predictions(found.now.read(), found.result)
        if before.labels_N.shape != after.labels_N.shape or (before.labels_N != after.labels_N).any():
            return None
        return compare(metric, before, after)


def _predictions(arrays: Arrays, result: CellResult) -> Predictions:
    scores_NK = arrays["test.scores"]
    return Predictions(scores_NK, arrays["test.labels"].astype(np.int64), result.class_counts)  # type: ignore[arg-type]  # floats by contract
