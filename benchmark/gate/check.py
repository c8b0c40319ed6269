"""The check itself: pairs in, a verdict out. Nothing here runs, prints or reads a store."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmark.evaluate import metric_label
from benchmark.gate import quality
from benchmark.gate.baseline import Baseline, BaselineCell, setting_of
from benchmark.gate.cost import Timing, Window, judge_memory, judge_time
from benchmark.gate.policy import Policy
from benchmark.gate.sides import Match, Scores
from benchmark.gate.triage import changes, once
from benchmark.gate.verdict import CellVerdict, Change, ConfigurationVerdict, GateVerdict, Judgement, worst
from benchmark.labels import label
from benchmark.metrics import Metric
from benchmark.records import CellResult

Quality = Mapping[str, Sequence[Judgement]]
"""By configuration."""


@dataclass(frozen=True)
class Check:
    """One check of matched cells against a baseline."""

    baseline: Baseline
    matches: Sequence[Match]
    metrics: Sequence[Metric]
    """Of the suite, in its order."""
    policy: Policy
    timings: Mapping[str, Sequence[Timing]] = field(default_factory=dict)
    """What was measured now, by configuration (`setting_of`)."""
    command_of: Callable[[CellResult], str] = lambda _: ""
    environment: Sequence[Change] = ()
    """What differs beside the cells: other installed distributions, another commit."""
    single: bool = False
    """One cell by its stored predictions: about its two networks."""

    def verdict(self, **about: object) -> GateVerdict:
        """`about`: name, command, commits and time of the check, as GateVerdict has them."""
        groups: dict[str, list[Match]] = defaultdict(list)
        for each in self.matches:
            groups[each.setting].append(each)
        names = _names(groups)
        of_quality, overall = self._quality(groups)
        of_cost = self._costs(groups)
        configurations = tuple(
            self._configuration(names[key], key, group, [*of_quality.get(key, ()), *of_cost.get(key, ())]) for key, group in groups.items()
        )
        problems = tuple(_problems(configurations)) or (() if configurations else ("no cell of this choice is there to be compared",))
        compared = [each for each in configurations if any(cell.state != "new" for cell in each.cells)]
        outcome = worst([each.outcome for each in compared] + [each.outcome for each in overall])
        found = GateVerdict(
            self.baseline.suite, "", outcome, "", self._stated_policy().document, configurations, tuple(overall),
            once([*self.environment, *(change for each in configurations for cell in each.cells for change in cell.changes)]),
            problems, tuple(_told(configurations, overall, "regressed")), tuple(_told(configurations, overall, "improved")),
            tuple(f"{each.name} · seed {cell.seed}" for each in configurations for cell in each.cells if cell.state == "new"),
            accepted=self.baseline.accepted,
        )  # fmt: skip
        return replace(found, summary=_summary(found), **about)  # type: ignore[arg-type]  # by name

    def judged(self) -> list[Metric]:
        """The metrics that the policy means."""
        wanted = self.policy.metrics or (metric_label(self.metrics[0]), "accuracy")
        return [metric for metric in self.metrics if metric_label(metric) in wanted]

    def _stated_policy(self) -> Policy:
        return replace(self.policy, metrics=tuple(metric_label(metric) for metric in self.judged()))

    # -- quality

    def _quality(self, groups: Mapping[str, Sequence[Match]]) -> tuple[Quality, list[Judgement]]:
        """By configuration, and of all together; corrected for all of them at once."""
        if self.policy.quality is None:
            return {}, []
        found: dict[str, list[Judgement]] = defaultdict(list)
        samples: dict[tuple[str, str], quality.Sample] = {}
        for key, group in groups.items():
            there = [each for each in group if each.state in ("unchanged", "measured")]
            why_not = next((each.why_not for each in there if each.why_not), "")
            if why_not:
                found[key] = [self._not_measured(metric, why_not) for metric in self.judged()]
            elif there and self.single:
                found[key] = list(self._networks(there[0]))
            elif there:
                samples |= {(key, metric_label(metric)): self._sample(metric, there) for metric in self.judged()}
        by_metric: dict[str, list[quality.Sample]] = defaultdict(list)
        for (_, metric), sample in samples.items():
            by_metric[metric].append(sample)
        pooled = quality.together(by_metric)
        judgements = quality.judge([*samples.values(), *pooled], self.policy)
        for (key, _), judgement in zip(samples, judgements, strict=False):  # the pooled ones come last
            found[key].append(judgement)
        return found, judgements[len(samples) :]

    def _sample(self, metric: Metric, there: Sequence[Match]) -> quality.Sample:
        name = metric_label(metric)
        same = self._seeds[there[0].setting]
        before_all = tuple(float(self._scores.before(cell).get(name, float("nan"))) for cell in same)
        return quality.Sample(name, metric.higher_is_better, tuple(self._scores.pair(metric, each) for each in there), before_all)

    @functools.cached_property
    def _scores(self) -> Scores:
        return Scores(self.baseline, self.metrics)

    @functools.cached_property
    def _seeds(self) -> Mapping[str, Sequence[BaselineCell]]:
        """The baseline's cells by configuration."""
        found: dict[str, list[BaselineCell]] = defaultdict(list)
        for cell in self.baseline.cells:
            found[setting_of(cell.result.resolved)].append(cell)
        return found

    def _networks(self, found: Match) -> list[Judgement]:
        return [quality.networks(metric_label(metric), self._scores.pair(metric, found), self.policy) for metric in self.judged()]

    def _not_measured(self, metric: Metric, why: str) -> Judgement:
        return Judgement("quality", metric_label(metric), "not measured", margin=self.policy.quality or 0.0, note=why)

    # -- time and memory

    def _costs(self, groups: Mapping[str, Sequence[Match]]) -> Mapping[str, list[Judgement]]:
        """Of the configurations that both sides have."""
        keys = [key for key, group in groups.items() if any(each.state in ("unchanged", "measured") for each in group)]
        windows = [Window(self.baseline.timings.get(key, ()), self.timings.get(key, ())) for key in keys]
        found: dict[str, list[Judgement]] = {key: [] for key in keys}
        if self.policy.time is not None:
            for key, judgement in zip(keys, judge_time(windows, self.policy), strict=True):
                found[key].append(judgement)
        if self.policy.memory is not None:
            for key, judgement in zip(keys, judge_memory(windows, self.policy), strict=True):
                found[key].append(judgement)
        return found

    def undecided_costs(self) -> set[str]:
        """The configurations that another measurement could tell more about: an alarm to be confirmed, a disturbed measurement."""
        groups: dict[str, list[Match]] = defaultdict(list)
        for each in self.matches:
            groups[each.setting].append(each)
        found = self._costs(groups)
        return {key for key, judgements in found.items() if any(each.outcome in ("regressed", "inconclusive") for each in judgements)}

    # -- words

    def _configuration(self, name: str, key: str, group: Sequence[Match], judgements: Sequence[Judgement]) -> ConfigurationVerdict:
        cells = tuple(self._cell(each) for each in group)
        broken = any(cell.state in ("missing", "failed") for cell in cells)
        is_new = all(cell.state == "new" for cell in cells)
        outcomes = [each.outcome for each in judgements] + (["not measured"] if broken else [])
        outcome = "ok" if is_new else worst(outcomes)
        return ConfigurationVerdict(name, key, group[0].result.attributes, outcome, tuple(judgements), cells)

    def _cell(self, found: Match) -> CellVerdict:
        before, now = found.before, found.now
        both = before is not None and now is not None and found.state in ("unchanged", "measured")
        return CellVerdict(
            found.pair, found.result.seed, found.state,
            before.result.key if before else "", now.result.key if now else "",
            found.reason if found.state in ("missing", "failed") else "",
            changes(before.result, now.result) if both and before and now else (),
            tuple(self._networks(found)) if both and not found.is_same and not found.why_not and self.policy.quality is not None else (),
            self.command_of(found.result),
        )  # fmt: skip


def _names(groups: Mapping[str, Sequence[Match]]) -> dict[str, str]:
    """`ros · step ratio=5`; the row alone where there is one condition."""
    found = label([replace(group[0].result, config_key=key) for key, group in groups.items()])
    is_one = len(set(found.condition.values())) == 1
    return {key: found.row[key] if is_one else f"{found.row[key]} · {found.condition[key]}" for key in groups}


def _problems(configurations: Sequence[ConfigurationVerdict]) -> list[str]:
    found = []
    for each in configurations:
        found += [f"{c.state}: {each.name} · seed {c.seed}: {c.reason}" for c in each.cells if c.state in ("missing", "failed")]
        found += [f"{each.name}: {j.measure} ({j.metric}): {j.note}" for j in each.judgements if j.outcome == "not measured"]
    return found


def _told(configurations: Sequence[ConfigurationVerdict], overall: Sequence[Judgement], what: str) -> list[str]:
    named = [(each.name, judgement) for each in configurations for judgement in each.judgements]
    named += [("all configurations together", judgement) for judgement in overall]
    wanted = [(name, j) for name, j in named if (j.outcome == "regressed" if what == "regressed" else j.improved)]
    return [f"{name}: {_words(judgement)}" for name, judgement in wanted]


def _words(judgement: Judgement) -> str:
    """`accuracy 0.913 → 0.892, 0.021 worse (margin 0.005, p = 0.0004)`"""
    of_share = judgement.measure != "quality"
    size = f"{abs(judgement.loss):.1%}" if of_share else f"{abs(judgement.loss):.4g}"
    margin = f"{judgement.margin:.0%}" if of_share else f"{judgement.margin:g}"
    way = "worse" if judgement.loss > 0 else "better"
    p = f", p = {judgement.p:.2g}" if judgement.p == judgement.p and judgement.outcome == "regressed" else ""
    return f"{judgement.metric} {judgement.before:.4g} → {judgement.after:.4g}, {size} {way} (margin {margin}{p})"


def _summary(found: GateVerdict) -> str:
    num = len(found.configurations)
    if found.outcome == "regressed":
        more = f", and {len(found.regressions) - 1} more" if len(found.regressions) > 1 else ""
        return f"regressed: {found.regressions[0]}{more}"
    if found.outcome == "not measured":
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return f"could not measure: {(found.problems or ('nothing was compared',))[0]}{more}"
    if found.outcome == "inconclusive":
        open_ = sum(each.outcome == "inconclusive" for each in found.configurations)
        note = next((j.note for each in found.configurations for j in each.judgements if j.outcome == "inconclusive"), "")
        note = note or next((j.note for j in found.overall if j.outcome == "inconclusive"), "")
        return f"inconclusive: {open_} of {num} configurations: {note}"
    same = sum(all(cell.state == "unchanged" for cell in each.cells) for each in found.configurations)
    better = f", {len(found.improvements)} improvements" if found.improvements else ""
    return f"no regression in {num} configurations ({same} unchanged){better}"
