"""A study's claims put to the test: one row a claim, and one row an effect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmark.evidence import ClaimResult, Effect, Verdict
from benchmark.records import SuiteResults
from benchmark.summary import Mean, decimals, shown_difference
from reports.section import Block, Fold, Report, Section, Text
from reports.table import Column, Shown, Table, Value

VERDICTS: Mapping[Verdict, str] = {"supported": "✓", "contradicted": "✗", "inconclusive": "?", "not tested": "–"}
"""Every verdict with the sign that stands before its word on the page."""
CLAIMS_CAPTION = (
    "Claims put to the test. Effect: left side minus right side of the relation, its tolerance left out, mean over seeds ± half-width of "
    "the 95 % t interval, not adjusted; of several conditions the span of the means and the hardest: furthest from what is claimed. "
    "p: two-sided, adjusted by Holm's method over the claims of the suite that could be tested."
)


def part(report: Report) -> Section | None:
    """Claims with their verdicts."""
    found = report.results.claims
    if not found:
        return None
    lead = f"{len(found)} {'claim' if len(found) == 1 else 'claims'}:"
    blocks: list[Block] = [Text(f" {counted(found)}.", lead), claims_table(report.results)]
    if any(claim.effects for claim in found):
        blocks.append(Fold("Effects by condition", [claims_detail(report.results)]))
    return Section("claims", "Claims", blocks)


def mark(verdict: Verdict) -> str:
    """The verdict as a class name of the page."""
    return verdict.replace(" ", "-")


def counted(claims: Sequence[ClaimResult]) -> str:
    """`12 supported, 2 contradicted, 9 inconclusive, 9 not tested; p adjusted by Holm's method over the 23 claims …`."""
    found = Counter(claim.verdict for claim in claims)
    tested = sum(not math.isnan(claim.p) for claim in claims)
    adjusted = f"; p adjusted by Holm's method over the {tested} claims that could be tested" if tested > 1 else ""
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]) + adjusted


def measured(claim: ClaimResult) -> list[Effect]:
    """The effects that have a mean."""
    return [effect for effect in claim.effects if math.isfinite(effect.mean)]


def hardest(effects: Sequence[Effect]) -> Effect:
    """Of measured effects the one furthest from what is claimed: one that does not hold where there is one."""
    return min(effects, key=lambda effect: (effect.holds, _margin(effect)))


def _margin(effect: Effect) -> float:
    """How far the mean lies on the claimed side: of `a >= b` the mean, of `a <= b` its negative, of an equality minus its size."""
    if ">" in effect.relation:
        return effect.mean
    return -effect.mean if "<" in effect.relation else -abs(effect.mean)


def as_mean(effect: Effect) -> Mean:
    """The effect as every other difference of a report is held; its deviation is not known."""
    return Mean(effect.mean, math.nan, effect.num if math.isfinite(effect.mean) else 0, (effect.high - effect.low) / 2)


def effect_text(claim: ClaimResult) -> str:
    """The difference with its interval; of several how many hold, the span of the means and the hardest condition."""
    known = measured(claim)
    if not known:
        return "–"
    if len(claim.effects) == 1:
        return _unbroken(shown_difference(as_mean(known[0])))
    hard, means = hardest(known), [effect.mean for effect in known]
    places = decimals(as_mean(hard).half_width)
    low, high = (f"{value:+.{places}f}".replace("-", "−") for value in (min(means), max(means)))
    change = _unbroken(shown_difference(as_mean(hard)))
    return f"{_held(claim)}; means {_unbroken(f'{low} to {high}')}; hardest: {_place(hard, claim)}, {change}"


def _unbroken(text: str) -> str:
    """Kept on one line of the page; LaTeX and Markdown get plain spaces again."""
    return text.replace(" ", "\u00a0")


def _held(claim: ClaimResult) -> str:
    """`holds in 11 of 12 conditions`; comparisons where a condition has several."""
    known = measured(claim)
    unknown = len(claim.effects) - len(known)
    unit = "comparisons" if _has_several_per_condition(claim) else "conditions"
    return f"holds in {sum(e.holds for e in known)} of {len(known)} {unit}" + (f" ({unknown} not measured)" if unknown else "")


def _has_several_per_condition(claim: ClaimResult) -> bool:
    return len({effect.condition for effect in claim.effects}) < len(claim.effects)


def _place(effect: Effect, claim: ClaimResult) -> str:
    return f"{effect.condition}, {effect.relation}" if _has_several_per_condition(claim) else effect.condition


def claims_table(results: SuiteResults) -> Table:
    """Verdict, effect and adjusted p of every claim."""
    words = (Column("statement", prose=True), Column("expected", prose=True), Column("metric"), Column("effect", prose=True))
    rest = (Column("seeds", numeric=True), Column("p (Holm)", numeric=True), Column("note", prose=True), Column("source", prose=True))
    counts = ("num_effects", "num_measured", "num_holding")
    ends = ("lowest_mean", "highest_mean", "hardest_mean", "hardest_ci95_low", "hardest_ci95_high", "fewest_seeds", "most_seeds", "p_holm")
    tidy = (Column(name) for name in ("claim", "statement", "source", "expected", "metric", "verdict", "note", "hardest_condition"))
    return Table(
        name="claims",
        caption=CLAIMS_CAPTION,
        columns=(Column("claim"), Column("verdict"), *words, *rest),
        rows=tuple(_shown_claim(claim) for claim in results.claims),
        tidy_columns=(*tidy, *(Column(name, numeric=True) for name in (*counts, *ends))),
        tidy_rows=tuple(_tidy_claim(claim) for claim in results.claims),
    )


def _shown_claim(claim: ClaimResult) -> tuple[Shown, ...]:
    verdict = Shown(claim.verdict, claim.verdict, mark(claim.verdict))
    texts = (claim.says, claim.expected, claim.metric, effect_text(claim))
    return (Shown(claim.id), verdict, *map(Shown, texts), _seeds(claim), shown_p(claim.p), Shown(claim.note), Shown(claim.source))


def _seeds(claim: ClaimResult) -> Shown:
    """`5`, or `3 to 5` where the conditions differ."""
    nums = [effect.num for effect in measured(claim)]
    if not nums:
        return Shown("–")
    low, high = min(nums), max(nums)
    return Shown(str(low) if low == high else f"{low} to {high}", low)


def shown_p(p: float) -> Shown:
    """Three decimals; `< 0.001` below that."""
    if math.isnan(p):
        return Shown("–")
    return Shown("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def _tidy_claim(claim: ClaimResult) -> tuple[Value, ...]:
    known = measured(claim)
    texts = (claim.id, claim.says, claim.source, claim.expected, claim.metric, claim.verdict, claim.note)
    if not known:
        return (*texts, None, len(claim.effects), 0, 0, *[None] * 7, claim.p)
    hard, means, nums = hardest(known), [effect.mean for effect in known], [effect.num for effect in known]
    counts = (len(claim.effects), len(known), sum(effect.holds for effect in known))
    ends = (min(means), max(means), hard.mean, hard.low, hard.high, min(nums), max(nums), claim.p)
    return (*texts, _place(hard, claim), *counts, *ends)


def claims_detail(results: SuiteResults) -> Table:
    """Every effect of every claim, condition by condition."""
    pairs = [(claim, effect) for claim in results.claims for effect in claim.effects]
    where = (Column("claim"), Column("condition"), Column("relation"), Column("metric"))
    numbers = ("mean", "ci95_low", "ci95_high", "num_seeds")
    return Table(
        name="claims-detail",
        caption="Effects of the claims by condition: left side minus right side of the relation, tolerance left out. ± is the half-width "
        "of the 95 % t interval of the mean over seeds, not adjusted. Holds: the mean lies on the claimed side.",
        columns=(*where, Column("effect", numeric=True), Column("seeds", numeric=True), Column("holds")),
        rows=tuple((Shown(c.id), Shown(e.condition), Shown(e.relation), Shown(c.metric), *_shown_effect(e)) for c, e in pairs),
        tidy_columns=(*where, *(Column(name, numeric=True) for name in numbers), Column("holds")),
        tidy_rows=tuple((c.id, e.condition, e.relation, c.metric, e.mean, e.low, e.high, e.num, _holds(e)) for c, e in pairs),
    )


def _shown_effect(effect: Effect) -> tuple[Shown, ...]:
    sort = effect.mean if math.isfinite(effect.mean) else None
    return Shown(shown_difference(as_mean(effect)), sort), Shown(str(effect.num), effect.num), Shown(_holds(effect) or "–")


def _holds(effect: Effect) -> str:
    """Empty where nothing was measured."""
    return ("yes" if effect.holds else "no") if math.isfinite(effect.mean) else ""
