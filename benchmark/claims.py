"""Claims of a study, put to the test: operands on both sides of a relation, paired over seeds, a verdict with its evidence.

A verdict needs p <= 0.05 after Holm's correction over the claims of the suite that could be tested: *supported* on the claimed side,
*contradicted* on the other one, *inconclusive* between them; *not tested* where cells are absent.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmark.evidence import ClaimResult, Effect
from benchmark.inference import ALPHA, UNKNOWN, Evidence, above, all_of, at_least, below, deciding_seeds, holm, within
from benchmark.labels import label
from benchmark.operands import PAIRED, Ambiguous, Attributes, Constant, Operand, Place, Row, Table, by_place, rows, selectors
from benchmark.records import DERIVED, PROFILE, PROFILED, Attribute, CellResult, MetricInfo
from benchmark.selectors import Selector
from benchmark.summary import CONFIDENCE, Mean, mean_of, student

Sign = Literal[">", "<", "~"]
Key = frozenset[tuple[str, Attribute]]
Pairs = Mapping[int, float]


@dataclass(frozen=True)
class Relation:
    """`a >= b - 0.002`: a minus b above, below or within a bound. Ends count for nothing: >= and > are one."""

    text: str
    left: str
    sign: Sign
    right: str
    bound: float
    """Of left minus right; for `~` the largest distance."""

    def evidence(self, sample: Mean) -> Evidence:
        return {">": above, "<": below, "~": within}[self.sign](sample, self.bound)

    def holds(self, value: float) -> bool:
        return bool({">": value >= self.bound, "<": value <= self.bound, "~": abs(value) <= self.bound}[self.sign])


@dataclass(frozen=True)
class Claim:
    """A statement made executable."""

    id: str
    says: str
    source: str
    metric: str = ""
    where: Selector = Selector(())
    """Which cells it is about, on both sides."""
    operands: Mapping[str, Operand] = field(default_factory=dict)
    """By name; the first one's rows are the conditions."""
    relations: tuple[Relation, ...] = ()
    """All must hold."""
    share: float | Literal["pooled"] = 1.0
    """Of the conditions in which it must hold; 0: in at least one; pooled: of their mean."""
    named: frozenset[str] = frozenset()
    """Attributes that the operands' selectors name: in these the sides differ."""
    pair: tuple[str, ...] | None = None
    """The attributes or parts in which the sides agree, instead of all that are not named."""
    exact: bool = False
    """An identity: it holds in every pair or it does not; no statistics."""
    not_tested: str = ""
    """Why it cannot be tested here."""

    @property
    def expected(self) -> str:
        """The relation, and how often it must hold, in words."""
        if not self.relations:
            return "–"
        words = {1.0: "in every condition", 0.0: "in at least one condition", "pooled": "on average over the conditions"}
        often = words.get(self.share) or f"in at least {self.share:.0%} of the conditions"
        return " and ".join(relation.text for relation in self.relations) + (" in every pair" if self.exact else f", {often}")


@dataclass(frozen=True)
class Tested:
    """A claim with its effects and its evidence before correction; None where it was not tested."""

    claim: Claim
    effects: tuple[Effect, ...] = ()
    pairs: tuple[tuple[Pairs, ...], ...] = ()
    """By condition, for each relation: left minus right at each seed that both sides have."""
    evidence: Evidence | None = None
    note: str = ""

    @functools.cached_property
    def samples(self) -> tuple[tuple[Mean, ...], ...]:
        """The pairs as means."""
        return tuple(tuple(mean_of(each.values()) for each in found) for found in self.pairs)


def judge(claims: Sequence[Claim], cells: Sequence[CellResult], metrics: Sequence[MetricInfo]) -> tuple[ClaimResult, ...]:
    """The verdict on every claim, in order. Cells that a rule skipped are not expected; others that are missing leave a condition open."""
    planned = [cell for cell in cells if cell.status != "skipped"]
    higher = {info.name: info.higher_is_better for info in metrics}
    words = _words(planned) if claims else {}
    tested = [_tested(claim, planned, higher, words) for claim in claims]
    inferred = [index for index, each in enumerate(tested) if each.evidence is not None and not each.claim.exact]
    adjusted = dict(zip(inferred, holm([_evidence(tested[i]).two_sided for i in inferred]), strict=True))
    return tuple(_verdict(each, adjusted.get(index, math.nan), len(inferred)) for index, each in enumerate(tested))


def concerned(claim: Claim, configurations: Mapping[str, Attributes]) -> tuple[str, ...]:
    """The configurations (their attributes by key) whose cells stand on a side of the claim."""
    sides = [where for operand in claim.operands.values() for where in selectors(operand)]
    return tuple(
        key for key, found in configurations.items() if claim.where.matches(found) and any(where.matches(found) for where in sides)
    )


def _evidence(tested: Tested) -> Evidence:
    assert tested.evidence is not None
    return tested.evidence


def _tested(claim: Claim, cells: Sequence[CellResult], higher: Mapping[str, bool], words: Mapping[Key, str]) -> Tested:
    if claim.not_tested:
        return Tested(claim, note=claim.not_tested)
    chosen = [cell for cell in cells if claim.where.matches(cell.attributes)]
    table = Table(chosen, claim.metric, _is_higher_better(claim.metric, higher), _place_of(claim))
    try:
        conditions = _conditions(claim, table)
    except Ambiguous as error:
        return Tested(claim, note=f"not clear what is compared: {error}.")
    if not conditions:
        return Tested(claim, note="this suite has no such cells.")
    if not any(found[0] for _, found in conditions):
        return Tested(claim, note="nothing of it has been measured.")
    names = [words.get(_key(row.attributes)) or _place_words(row, [each for each, _ in conditions]) for row, _ in conditions]
    made = Tested(claim, pairs=tuple(found for _, found in conditions))
    effects = tuple(
        _effect(name, relation, sample)
        for name, found in zip(names, made.samples, strict=True)
        for relation, sample in zip(claim.relations, found, strict=True)
    )
    return dataclasses.replace(made, effects=effects, evidence=combined(claim, made.samples))


def _is_higher_better(metric: str, higher: Mapping[str, bool]) -> bool:
    """Of a metric, a part of one, one on validation, a figure of the profile, or of what a history gives: there less is better."""
    if metric.startswith(PROFILE):
        return PROFILED[metric.removeprefix(PROFILE)]
    name = metric.removeprefix("validation.").partition("/")[0]
    return higher.get(name, name not in DERIVED)


def _place_of(claim: Claim) -> Callable[[Attributes], Place]:
    def place(attributes: Attributes) -> Place:
        return tuple(sorted((key, value) for key, value in attributes.items() if _agree(claim, key)))

    return place


def _agree(claim: Claim, key: str) -> bool:
    """Whether both sides must have the same value of an attribute."""
    part = key.partition(".")[0]
    if claim.pair is not None:
        return key in claim.pair or part in claim.pair
    return part in PAIRED and part not in claim.named and key not in claim.named


def _conditions(claim: Claim, table: Table) -> list[tuple[Row, tuple[Pairs, ...]]]:
    """The rows of the first operand, each with its pairs for each relation."""
    first = next(iter(claim.operands))
    found = rows(claim.operands[first], table)
    others = {name: by_place(rows(each, table)) for name, each in claim.operands.items() if name != first and not _constant(each)}
    pairs = [(row, [_pairs(claim, relation, row, others) for relation in claim.relations]) for row in found
             if all(row.place in other for other in others.values())]  # fmt: skip
    if claim.share != "pooled" or not pairs:
        return [(row, tuple(values)) for row, values in pairs]
    pooled = [_pooled([values[index] for _, values in pairs]) for index in range(len(claim.relations))]
    return [(Row((), {}, {}), tuple(pooled))]


def _constant(operand: Operand) -> bool:
    return isinstance(operand, Constant)


def _pairs(claim: Claim, relation: Relation, row: Row, others: Mapping[str, Mapping[Place, Row]]) -> dict[int, float]:
    """Left minus right at each seed that both have."""
    left, right = (_values(claim, name, row, others) for name in (relation.left, relation.right))
    seeds = {seed for side in (left, right) if side is not None for seed in side}
    both = [seed for seed in sorted(seeds) if all(side is None or seed in side for side in (left, right))]
    return {seed: _at(claim, relation.left, left, seed) - _at(claim, relation.right, right, seed) for seed in both}


def _values(claim: Claim, name: str, row: Row, others: Mapping[str, Mapping[Place, Row]]) -> Mapping[int, float] | None:
    """By seed; None for a constant."""
    if name in others:
        return others[name][row.place].values
    return row.values if name in claim.operands and not _constant(claim.operands[name]) else None


def _at(claim: Claim, name: str, values: Mapping[int, float] | None, seed: int) -> float:
    if values is not None:
        return values[seed]
    operand = claim.operands.get(name)
    return operand.value if isinstance(operand, Constant) else float(name)


def _pooled(conditions: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """The mean over the conditions at each seed that all of them have: seeds are independent, conditions of one seed are not."""
    shared = set.intersection(*(set(values) for values in conditions))
    return {seed: sum(values[seed] for values in conditions) / len(conditions) for seed in sorted(shared)}


def combined(claim: Claim, samples: Sequence[Sequence[Mean]]) -> Evidence:
    """The evidence of all conditions together."""
    each = [all_of([r.evidence(sample) for r, sample in zip(claim.relations, found, strict=True)]) for found in samples]
    if claim.exact:
        return UNKNOWN
    if claim.share == "pooled":
        return each[0]
    return at_least(each, max(1, math.ceil(claim.share * len(each) - 1e-9)))


def _effect(condition: str, relation: Relation, sample: Mean) -> Effect:
    return Effect(
        condition, relation.text, sample.mean, sample.low, sample.high, sample.num, sample.num > 0 and relation.holds(sample.mean)
    )


def _key(attributes: Attributes) -> Key:
    return frozenset(attributes.items())


def _words(cells: Sequence[CellResult]) -> dict[Key, str]:
    """Condition and method of every configuration in words, as tables have them."""
    labels = label(cells)
    configs = {cell.config_key: cell.attributes for cell in cells}
    return {_key(attributes): f"{labels.condition[key]}: {labels.row[key]}" for key, attributes in configs.items()}


def _place_words(row: Row, found: Sequence[Row]) -> str:
    """What sets a place apart from the others."""
    values: dict[str, set[str]] = defaultdict(set)
    for each in found:
        for key, value in each.place:
            values[key].add(str(value))
    told = [f"{key}={value}" for key, value in row.place if len(values[key]) > 1]
    return ", ".join(told) or "all conditions"


def _verdict(tested: Tested, p: float, num_claims: int) -> ClaimResult:
    claim = tested.claim
    result = ClaimResult(claim.id, claim.says, claim.source, claim.expected, claim.metric, "not tested", note=tested.note)
    if tested.evidence is None:
        return result
    result = dataclasses.replace(result, effects=tested.effects, p=p)
    if claim.exact:
        return dataclasses.replace(result, verdict=_identity(tested))
    if p > ALPHA:
        return dataclasses.replace(result, verdict="inconclusive", note=_what_would_decide(tested, num_claims))
    return dataclasses.replace(result, verdict="supported" if tested.evidence.for_ < tested.evidence.against else "contradicted")


def _identity(tested: Tested) -> Literal["supported", "contradicted", "inconclusive"]:
    """Of an exact claim: one pair that breaks it is enough, and a condition without a pair leaves it open."""
    for found in tested.pairs:
        for relation, pairs in zip(tested.claim.relations, found, strict=True):
            if not all(relation.holds(value) for value in pairs.values()):
                return "contradicted"
    return "supported" if all(effect.num for effect in tested.effects) else "inconclusive"


def _flat(samples: Iterable[Iterable[Mean]]) -> list[Mean]:
    return [sample for found in samples for sample in found]


def _what_would_decide(tested: Tested, num_claims: int) -> str:
    """How many seeds, if means and deviations stay as they are, at the strictest step of the correction."""
    now = min((sample.num for sample in _flat(tested.samples)), default=0)
    if now == 0:
        open_ = sum(1 for sample in tested.samples if not sample[0].num)
        return f"{open_} of {len(tested.samples)} conditions have no value yet."
    if now < 2:
        return "one seed shows no spread: two or more would."

    def evidence(num: int) -> Evidence:
        return combined(tested.claim, [[_with_seeds(sample, num) for sample in found] for found in tested.samples])

    wanted = deciding_seeds(evidence, now, ALPHA / num_claims)
    if wanted is None:
        return "too close to its bound: more seeds would hardly decide it."
    side = "support" if evidence(wanted).for_ < evidence(wanted).against else "contradict"
    return f"about {wanted - now} more seeds would {side} it, if means and spreads stay."


def _with_seeds(sample: Mean, num: int) -> Mean:
    return dataclasses.replace(sample, num=num, half_width=student(num, CONFIDENCE) * sample.sd / math.sqrt(num))
