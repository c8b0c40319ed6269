"""Quality compared with the baseline, paired: over the seeds of a configuration, over all configurations, and for two single networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtr, stdtrit

from benchmark.gate.images import ImageTest
from benchmark.gate.policy import PASSING, Policy
from benchmark.gate.verdict import Judgement, Outcome
from benchmark.inference import Evidence, above, deciding_seeds, holm
from benchmark.summary import Mean, mean_of


@dataclass(frozen=True)
class Pair:
    """One metric of one cell on both sides."""

    seed: int
    before: float
    after: float
    is_same: bool = False
    """The very same predictions, to the bit: reused from the ledger, or computed again alike."""
    images: ImageTest | None = None


@dataclass(frozen=True)
class Sample:
    """One metric of one configuration: its pairs, and how its baseline varies from seed to seed."""

    metric: str
    higher_is_better: bool
    pairs: tuple[Pair, ...]
    before_all: tuple[float, ...] = ()
    """The metric of every seed of the baseline."""

    @property
    def losses(self) -> Mean:
        """Mean loss over the pairs: above 0 is worse."""
        return mean_of(self._loss(pair) for pair in self.pairs)

    @property
    def spread(self) -> float:
        """Deviation between seeds, pooled over both sides; NaN below two pairs."""
        there = [pair for pair in self.pairs if math.isfinite(pair.before) and math.isfinite(pair.after)]
        sides = [mean_of(values).sd for values in ([pair.before for pair in there], [pair.after for pair in there])]
        return math.sqrt((sides[0] ** 2 + sides[1] ** 2) / 2)

    def _loss(self, pair: Pair) -> float:
        return pair.before - pair.after if self.higher_is_better else pair.after - pair.before


@dataclass(frozen=True)
class _Test:
    """What a sample shows: p-values of `no loss`, of `no gain`, and of `a loss as large as the margin`."""

    worse: float
    better: float
    passing: float
    test: str
    low: float = math.nan
    high: float = math.nan


def judge(samples: Sequence[Sample], policy: Policy) -> list[Judgement]:
    """One judgement per sample, corrected together (Holm 1979)."""
    assert policy.quality is not None
    tests = [_tested(sample, policy.quality, policy.alpha) for sample in samples]
    tested = [index for index, test in enumerate(tests) if test is not None]
    worse = dict(zip(tested, holm([tests[index].worse for index in tested]), strict=True))  # type: ignore[union-attr]  # those that are
    better = dict(zip(tested, holm([tests[index].better for index in tested]), strict=True))  # type: ignore[union-attr]
    found = []
    for index, (sample, test) in enumerate(zip(samples, tests, strict=True)):
        if test is None:
            found.append(_untested(sample, policy.quality))
        else:
            found.append(_judged(sample, test, policy, worse[index], better[index], len(tested)))
    return found


def _tested(sample: Sample, margin: float, alpha: float) -> _Test | None:
    """None where there is nothing to test: no pair, or the same predictions in all of them."""
    losses = sample.losses
    if losses.num == 0 or all(pair.is_same for pair in sample.pairs):
        return None
    if losses.num == 1:
        return _single(sample, margin, alpha)
    half = float(stdtrit(losses.num - 1, 1 - alpha)) * losses.sd / math.sqrt(losses.num)
    evidence, passing = _above(losses, sample.spread, 0.0), _above(losses, sample.spread, margin).against
    words = f"t over {losses.num} seeds, paired or not"
    return _Test(evidence.for_, evidence.against, passing, words, losses.mean - half, losses.mean + half)


def _above(losses: Mean, spread: float, bound: float) -> Evidence:
    """Whether the mean loss is above a bound: by the paired t test or by the one of two samples, whichever is clearer (Bonferroni).

    Where both sides of a pair vary together the first has more power. Where they do not, or where the seeds are few, the second has: it
    knows the deviation from twice as many values. Seeds that vary together make the second one too careful, never too bold.
    """
    paired = above(losses, bound)
    if not spread > 0:
        return paired
    t = (losses.mean - bound) / (spread * math.sqrt(2 / losses.num))
    for_, against = (float(stdtr(2 * losses.num - 2, x)) for x in (-t, t))
    return Evidence(min(1.0, 2 * min(paired.for_, for_)), min(1.0, 2 * min(paired.against, against)))


def _single(sample: Sample, margin: float, alpha: float) -> _Test:
    """One pair: it must show on the images, and stand out from what seeds do to the baseline. Without either nothing is decided.

    Two trainings of the same code differ by √2 deviations between seeds at most (less with the same seed), so that the second test is
    on the safe side; both must reject (an intersection-union test).
    """
    images = next((pair.images for pair in sample.pairs if pair.images), None)
    spread = mean_of(sample.before_all)
    if images is None or spread.num < 3 or not spread.sd > 0:
        return _Test(1.0, 1.0, 1.0, "one seed")
    loss, scale, freedom = sample.losses.mean, math.sqrt(2) * spread.sd, spread.num - 1
    half = float(stdtrit(freedom, 1 - alpha)) * scale
    tails = [float(stdtr(freedom, x / scale)) for x in (-loss, loss, loss - margin)]
    words = f"{images.test}, and t of one seed against the {spread.num} of the baseline"
    return _Test(max(images.p_worse, tails[0]), max(images.p_better, tails[1]), tails[2], words, loss - half, loss + half)


def _untested(sample: Sample, margin: float) -> Judgement:
    base = Judgement("quality", sample.metric, "ok", margin=margin, num=len(sample.pairs))
    if sample.pairs and all(pair.is_same for pair in sample.pairs):
        value = mean_of(pair.before for pair in sample.pairs).mean
        return replace(base, before=value, after=value, loss=0.0, test="the same predictions")
    return replace(base, outcome="not measured", num=0, note="no seed that both sides have gives this metric a value")


def _judged(sample: Sample, test: _Test, policy: Policy, worse: float, better: float, family: int) -> Judgement:  # noqa: PLR0913
    losses, margin = sample.losses, policy.quality or 0.0
    is_lost = worse <= policy.alpha and losses.mean >= margin
    is_won = better <= policy.alpha and losses.mean <= -margin
    outcome: Outcome = "regressed" if is_lost else "ok" if is_won or test.passing <= PASSING else "inconclusive"
    note = _needs(sample, losses, policy, family) if outcome == "inconclusive" else ""
    finite = [pair for pair in sample.pairs if math.isfinite(pair.before) and math.isfinite(pair.after)]
    before, after = (mean_of(values).mean for values in ([p.before for p in finite], [p.after for p in finite]))
    return Judgement(
        "quality", sample.metric, outcome, is_won, before, after, losses.mean, test.low, test.high, margin, worse, losses.num,
        test.test, note,
    )  # fmt: skip


def _needs(sample: Sample, losses: Mean, policy: Policy, family: int) -> str:
    """How many more seeds of this mean and deviation would decide."""
    margin = policy.quality or 0.0
    deviation = losses.sd if losses.num > 1 else math.sqrt(2) * mean_of(sample.before_all).sd
    if not deviation > 0:
        return "one seed tells nothing about the luck of a training: run at least 2 more"
    is_lost = losses.mean >= margin
    level = policy.alpha / family if is_lost else PASSING

    def evidence(num: int) -> Evidence:
        like = Mean(losses.mean, deviation, num, 0.0)
        found = _above(like, sample.spread, 0.0 if is_lost else margin)
        return Evidence(found.for_ if is_lost else found.against, 1.0)

    number = deciding_seeds(evidence, losses.num, 2 * level)
    if number is None:
        return f"no number of seeds in reach decides whether a loss of {losses.mean:.4g} is below {margin:g}: choose another margin"
    return f"{number - losses.num} more seeds would decide if they vary as these do ({number} in all)"


def networks(metric: str, pair: Pair, policy: Policy) -> Judgement:
    """One cell by its images alone: about the two networks, not corrected for the number of cells."""
    margin = policy.quality or 0.0
    base = Judgement("quality", metric, "ok", before=pair.before, after=pair.after, margin=margin)
    if pair.is_same:
        return replace(base, loss=0.0, num=1, test="the same predictions")
    images = pair.images
    if images is None or not math.isfinite(images.loss):
        return replace(base, outcome="not measured", note="the metric has no value on these images")
    is_lost = images.p_worse <= policy.alpha and images.loss >= margin
    is_won = images.p_better <= policy.alpha and images.loss <= -margin
    outcome: Outcome = "regressed" if is_lost else "ok" if is_won or images.loss < margin else "inconclusive"
    note = "worse by the margin, but so few images may decide so by chance" if outcome == "inconclusive" else ""
    return replace(base, outcome=outcome, improved=is_won, loss=images.loss, p=images.p_worse, num=1, test=images.test, note=note)


def together(samples: Mapping[str, Sequence[Sample]]) -> list[Sample]:
    """Per metric one sample over all configurations: each seed's mean over those that all have it; none where there is only one.

    Small losses that every configuration shares show here first. Seeds stay the only independent repeats.
    """
    found = []
    for metric, group in samples.items():
        if len(group) < 2:
            continue
        seeds = sorted(set.intersection(*({pair.seed for pair in sample.pairs} for sample in group)))
        pairs = tuple(_mean_pair(seed, [pair for sample in group for pair in sample.pairs if pair.seed == seed]) for seed in seeds)
        found.append(Sample(metric, group[0].higher_is_better, pairs))
    return found


def _mean_pair(seed: int, pairs: Sequence[Pair]) -> Pair:
    before, after = (sum(values) / len(pairs) for values in ([p.before for p in pairs], [p.after for p in pairs]))
    return Pair(seed, before, after, all(pair.is_same for pair in pairs))
