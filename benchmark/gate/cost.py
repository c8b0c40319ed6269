"""Time and memory compared with the pinned window of the baseline: only in the same context, and alarmed at only if a re-run agrees."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy.special import stdtr, stdtrit

from benchmark.gate.policy import PASSING, Policy
from benchmark.gate.verdict import Change, Judgement, Measure, Outcome
from benchmark.inference import holm

FLOOR = 0.005
"""Relative deviation below which nobody can measure time: a window that agrees better was lucky."""
MEMORY = ("peak_device_mib", "peak_host_mib")
"""The first that both sides have: what tensors take on the device, else the whole process at its peak."""
ELSEWHERE = frozenset({"code_version", "skewbench", "imbalanced-learn"})
"""Fields of a context that say which code ran, not where; the last stands in results of earlier versions alone."""
EFFICIENCY = 0.8
"""What a value of the window counts in degrees of freedom: so false alarms stay below alpha, by simulation (tests/test_gate_cost.py)."""
_MAD = {2: 1.196, 3: 1.495, 4: 1.363, 5: 1.206, 6: 1.200, 7: 1.140, 8: 1.129, 9: 1.107}
"""Makes the median absolute deviation of few values unbiased (Croux & Rousseeuw 1992)."""

Timing = Mapping[str, Any]
"""A configuration measured alone in a process of its own: `figures` and `context`."""


@dataclass(frozen=True)
class Window:
    """One configuration: the baseline's measurements and those of now, the oldest first."""

    before: Sequence[Timing]
    after: Sequence[Timing]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What is not the same about two contexts, the code left out."""
    names = sorted((before.keys() | after.keys()) - ELSEWHERE)
    return [Change("context", name, _text(before, name), _text(after, name)) for name in names if before.get(name) != after.get(name)]


def _text(context: Mapping[str, Any], name: str) -> str | None:
    return None if context.get(name) is None else str(context[name])


def judge_time(windows: Sequence[Window], policy: Policy) -> list[Judgement]:
    """Seconds: a robust z of the newest measurement against the window (median, MAD), as Student's t; Holm over the configurations.

    Regressed: the first *and* the last of the new measurements each lie significantly and by the margin above the window, so that one
    disturbed measurement raises no alarm. With one measurement alone an alarm is `inconclusive`.
    """
    assert policy.time is not None
    margin = policy.time
    blocked = [_blocked(window, "time", "seconds", margin) for window in windows]
    good = [index for index, block in enumerate(blocked) if block is None]
    noise, freedom = _noise([windows[index] for index in good])
    readings = {index: _Reading.of(windows[index], noise, freedom) for index in good}
    first = dict(zip(good, holm([readings[index].worse_first for index in good]), strict=True))
    last = dict(zip(good, holm([readings[index].worse_last for index in good]), strict=True))
    better = dict(zip(good, holm([readings[index].better for index in good]), strict=True))
    found = []
    for index, block in enumerate(blocked):
        if block is not None:
            found.append(block)
        else:
            found.append(_timed(readings[index], policy, first[index], last[index], better[index]))
    return found


def _noise(windows: Sequence[Window]) -> tuple[float, int]:
    """Relative deviation of one measurement from the next, robust, pooled over the configurations; its degrees of freedom."""
    scales, freedom = [], 0
    for window in windows:
        logs = [math.log(each["figures"]["seconds"]) for each in window.before]
        if len(logs) > 1:
            middle = statistics.median(logs)
            factor = _MAD.get(len(logs), len(logs) / (len(logs) - 0.8))
            scales.append(1.4826 * factor * statistics.median(abs(value - middle) for value in logs))
            freedom += len(logs) - 1
    return (max(FLOOR, statistics.fmean(scales)) if scales else math.nan), max(1, round(freedom * EFFICIENCY))


@dataclass(frozen=True)
class _Reading:
    """How the new measurements stand to the window: relative losses, and p-values before correction."""

    before: float
    after: float
    loss_first: float
    loss_last: float
    worse_first: float
    worse_last: float
    better: float
    noise: float
    freedom: int
    num_before: int
    num_after: int

    @classmethod
    def of(cls, window: Window, noise: float, freedom: int) -> _Reading:
        before = statistics.median(each["figures"]["seconds"] for each in window.before)
        seconds = [each["figures"]["seconds"] for each in window.after]
        after = statistics.median(seconds)
        num = len(window.before)
        single = noise * math.sqrt(1 + _median_variance(num))
        pooled = noise * math.sqrt(_median_variance(len(seconds)) + _median_variance(num))
        first, last = (_tail(math.log(seconds[at] / before) / single, freedom) for at in (0, -1))
        better = _tail(-math.log(after / before) / pooled, freedom)
        loss_first, loss_last = (seconds[at] / before - 1 for at in (0, -1))
        return cls(before, after, loss_first, loss_last, first, last, better, pooled, freedom, num, len(seconds))

    def passing(self, margin: float) -> float:
        """p-value of `a loss as large as the margin`."""
        return _tail((math.log1p(margin) - math.log(self.after / self.before)) / self.noise, self.freedom)


def _median_variance(num: int) -> float:
    """Variance of the median of `num` normal values, those of variance 1: π/2n for many."""
    return {1: 1.0, 2: 0.5, 3: 0.449, 4: 0.298, 5: 0.287}.get(num, math.pi / 2 / num)


def _tail(t: float, freedom: int) -> float:
    return 0.5 if math.isnan(t) else float(stdtr(freedom, -t))


def _timed(reading: _Reading, policy: Policy, first: float, last: float, better: float) -> Judgement:
    margin, alpha = policy.time or 0.0, policy.alpha
    loss = reading.after / reading.before - 1
    half = float(stdtrit(reading.freedom, 1 - alpha)) * reading.noise
    base = Judgement(
        "time", "seconds", "ok", before=reading.before, after=reading.after, loss=loss, margin=margin, num=reading.num_after,
        low=(1 + loss) * math.exp(-half) - 1, high=(1 + loss) * math.exp(half) - 1, p=max(first, last),
        test=f"robust z of {reading.num_after} against {reading.num_before} measurements",
    )  # fmt: skip
    if first <= alpha and reading.loss_first >= margin:
        if reading.num_after == 1:
            return replace(base, outcome="inconclusive", note="slower by the margin, but not confirmed by a re-run: leave --no-confirm out")
        if last <= alpha and reading.loss_last >= margin:
            return replace(base, outcome="regressed")
    if better <= alpha and loss <= -margin:
        return replace(base, improved=True)
    if reading.passing(margin) <= PASSING:
        return base
    return replace(base, outcome="inconclusive", note=_too_noisy(reading, margin))


def _too_noisy(reading: _Reading, margin: float) -> str:
    spread = reading.noise / math.sqrt(_median_variance(reading.num_after) + _median_variance(reading.num_before))
    seen = math.expm1(float(stdtrit(reading.freedom, 1 - PASSING)) * reading.noise)
    told = f"measurements differ by {spread:.1%} from one to the next, so that losses below {max(seen, margin):.0%} cannot be told"
    return f"{told}: a quieter machine, more measurements (`baseline accept --timings`), or a larger --time"


def judge_memory(windows: Sequence[Window], policy: Policy) -> list[Judgement]:
    """The peak as it is: no test, since it repeats; a loss counts if the first and the last of the new measurements have it."""
    assert policy.memory is not None
    return [_remembered(window, policy.memory) for window in windows]


def _remembered(window: Window, margin: float) -> Judgement:
    name = next((name for name in MEMORY if all(name in each["figures"] for each in (*window.before, *window.after))), MEMORY[-1])
    blocked = _blocked(window, "memory", name, margin)
    if blocked is not None:
        return blocked
    before = statistics.median(each["figures"][name] for each in window.before)
    values = [each["figures"][name] for each in window.after]
    losses = [values[at] / before - 1 for at in (0, -1)]
    loss = min(losses)
    outcome: Outcome = "regressed" if loss >= margin else "ok"
    words = f"peak of {len(values)} against the median of {len(window.before)} measurements"
    return Judgement(
        "memory", name, outcome, max(losses) <= -margin, before, statistics.median(values), loss, margin=margin, num=len(values), test=words
    )


def _blocked(window: Window, measure: Measure, metric: str, margin: float) -> Judgement | None:
    """Why the two sides cannot be compared, if they cannot."""
    base = Judgement(measure, metric, "not measured", margin=margin)
    if not window.before:
        return replace(base, note="the baseline has not been measured alone (`baseline accept --timings 5` does it)")
    if not window.after:
        return replace(base, note="nothing was measured now: leave --no-run out")
    others = differences(window.before[-1]["context"], window.after[-1]["context"])
    if others:
        told = "; ".join(f"{each.name}: {each.before} → {each.after}" for each in others)
        return replace(base, note=f"measured elsewhere: {told}")
    figure = "seconds" if measure == "time" else metric
    if not all(figure in each["figures"] for each in (*window.before, *window.after)):
        return replace(base, note=f"this machine does not tell {figure}")
    return None
