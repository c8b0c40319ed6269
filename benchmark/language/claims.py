"""`claims`, `references` and `select` of a suite: read, checked and located."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

from benchmark import registry
from benchmark.claims import Claim, Relation, Sign
from benchmark.errors import InvalidValue, shown, unknown
from benchmark.evidence import Selection
from benchmark.language.keys import AXES, CLAIM, REFERENCE, SELECT, TREND
from benchmark.language.located import Node, failure
from benchmark.language.rules import attribute_kind, selector
from benchmark.language.words import check_words, switch_of, text_of
from benchmark.operands import Cells, Constant, Difference, Nearest, Operand, Peak, Pick, Ratio, Trend
from benchmark.records import DERIVED, PROFILE, PROFILED
from benchmark.references import Reference
from benchmark.selectors import Selector

Made = TypeVar("Made", Claim, Reference)
_NUMBER = r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?"
_NAME = r"[a-z][a-z0-9_]*"
RELATION = rf"({_NAME})\s*(>=|<=|>|<|~)\s*({_NAME}|{_NUMBER})\s*(?:(\+-|\+|-)\s*({_NUMBER}))?"
"""`a >= b - 0.002`, as a regular expression that JSON Schema knows too."""
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_EXAMPLE = "such as `a >= b - 0.002`, `a < b` or `a ~ b +- 0.01`"


def claims_of(node: Node | None) -> tuple[Claim, ...]:
    """The claims in order; SuiteError for what cannot be meant."""
    return tuple(_distinct(node, "claim", _claim))


def references_of(node: Node | None) -> tuple[Reference, ...]:
    """The published numbers in order."""
    return tuple(_distinct(node, "reference", _reference))


def _metric(node: Node) -> str:
    """A metric, a part of one (`recall/cat`), one on validation, what a training's history gives, or a figure of its profile.

    Any known metric will do: the command line may leave out those that the suite asks for, and then nothing of the claim is measured.
    """
    name = text_of(node)
    bare = name.removeprefix("validation.").partition("/")[0].partition(" ")[0]
    known = [*registry.names("metrics"), *DERIVED]
    if name.startswith(PROFILE):
        bare, known = name, [PROFILE + each for each in PROFILED]
    if bare not in known:
        raise failure(node, unknown("metric", bare, known))
    return name


def _distinct(node: Node | None, what: str, make: Callable[[Node], Made]) -> Iterator[Made]:
    seen: set[str] = set()
    if node is None or node.value is None:
        return
    if not isinstance(node.value, list):
        raise failure(node, f"expected a list of {what}s, found {shown(node.plain)}. Put '- ' before each.")
    for item in node.value:
        made = make(item)
        if made.id in seen:
            raise failure(item, f"two {what}s have the id '{made.id}': expected different ones.")
        seen.add(made.id)
        yield made


def _claim(node: Node) -> Claim:
    check_words(node, CLAIM, what="key of a claim:", required=("id", "says"))
    given = node.items
    identity = text_of(given.get("id")), text_of(given.get("says")), text_of(given.get("source"))
    if "not_tested" in given:
        _refuse(node, ("compare", "expect", "metric"), "a claim that is `not_tested`")
        return Claim(*identity, not_tested=text_of(given["not_tested"]))
    for name in ("metric", "compare", "expect"):
        if name not in given:
            raise failure(node, f"'{name}' is missing: {CLAIM[name].doc}. A claim without a test says why: `not_tested: ...`.")
    operands, named = _operands(given["compare"])
    return Claim(
        *identity,
        metric=_metric(given["metric"]),
        where=selector(given["where"]) if "where" in given else Selector(()),
        operands=operands,
        relations=tuple(_relation(item, operands) for item in given["expect"].entries),
        share=_share(given.get("in")),
        named=frozenset(named),
        pair=tuple(_attribute(item, parts=True) for item in given["pair"].entries) if "pair" in given else None,
        exact=switch_of(given.get("exact"), default=False),
    )


def _refuse(node: Node, keys: Sequence[str], what: str) -> None:
    for key in keys:
        if key in node.items:
            raise failure(node, f"'{key}' cannot stand in {what}.", key=key)


def _operands(node: Node) -> tuple[dict[str, Operand], set[str]]:
    """The operands by name, and the attributes that their selectors name."""
    if not isinstance(node.value, dict) or not node.value:
        raise failure(node, f"expected operands by name, such as `{{a: {{method: ros}}, b: {{method: none}}}}`, found {shown(node.plain)}.")
    named: set[str] = set()
    found: dict[str, Operand] = {}
    for name, item in node.value.items():
        if not re.fullmatch(_NAME, str(name)):
            raise failure(node, f"expected a name of small letters for an operand, found {shown(name)}.", key=name)
        found[str(name)] = _operand(item, named)
    if all(isinstance(each, Constant) for each in found.values()) or isinstance(next(iter(found.values())), Constant):
        raise failure(node, "the first operand stands for the conditions: expected cells there, found a number.")
    return found, named


def _operand(node: Node, named: set[str]) -> Operand:
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Constant(float(node.value))
    if isinstance(node.value, dict) and len(node.value) == 1:
        ((word, item),) = node.value.items()
        if word in _COMBINATIONS:
            return _COMBINATIONS[str(word)](item, named)
    found = selector(node)
    named.update(condition.attribute for condition in found.conditions)
    return Cells(found)


def _pick(node: Node, named: set[str], *, worst: bool) -> Operand:
    return Pick(tuple(_operand(item, named) for item in node.entries), worst)


def _two(node: Node, named: set[str], *, make: Callable[[Operand, Operand], Operand]) -> Operand:
    if len(node.entries) != 2:
        raise failure(node, f"expected two operands, `[first, second]`, found {len(node.entries)}.")
    first, second = node.entries
    return make(_operand(first, named), _operand(second, named))


def _nearest(node: Node, named: set[str]) -> Operand:
    words = {"of": TREND["of"], "among": TREND["of"]}
    check_words(node, words, what="key of nearest:", required=tuple(words))
    return Nearest(_operand(node.items["of"], named), _operand(node.items["among"], named))


def _along(node: Node, named: set[str]) -> tuple[Operand, str]:
    check_words(node, TREND, what="key of a trend:", required=("of", "along"))
    along = _attribute(node.items["along"], parts=False)
    named.add(along)
    return _operand(node.items["of"], named), along


def _trend(node: Node, named: set[str], *, statistic: Literal["spearman", "slope"]) -> Operand:
    return Trend(*_along(node, named), statistic)


_COMBINATIONS: Mapping[str, Callable[[Node, set[str]], Operand]] = {
    "best": lambda node, named: _pick(node, named, worst=False),
    "worst": lambda node, named: _pick(node, named, worst=True),
    "difference": lambda node, named: _two(node, named, make=Difference),
    "ratio": lambda node, named: _two(node, named, make=Ratio),
    "nearest": _nearest,
    "spearman": lambda node, named: _trend(node, named, statistic="spearman"),
    "slope": lambda node, named: _trend(node, named, statistic="slope"),
    "peak": lambda node, named: Peak(*_along(node, named)),
}
COMBINATIONS = tuple(_COMBINATIONS)


def _attribute(node: Node, *, parts: bool) -> str:
    """A cell's attribute, or with `parts` one of the parts that have several."""
    name = text_of(node)
    if parts and name in (*AXES, "recipe"):
        return name
    try:
        attribute_kind(name)
    except InvalidValue as error:
        raise failure(node, error.problem) from None
    return name


def _relation(node: Node, operands: Mapping[str, Operand]) -> Relation:
    found = re.fullmatch(RELATION, node.value.strip()) if isinstance(node.value, str) else None
    if not found:
        raise failure(node, f"expected a relation {_EXAMPLE}, found {shown(node.plain)}.")
    left, sign, right, plus, number = found.groups()
    for name in (left, right):
        if name not in operands and not re.fullmatch(_NUMBER, name):
            raise failure(node, unknown("operand", name, operands))
    if (sign == "~") != (plus == "+-"):
        raise failure(node, f"expected a relation {_EXAMPLE} (`~` goes with `+-`), found {shown(node.plain)}.")
    bound = float(number) * (-1 if plus == "-" else 1) if number else 0.0
    if sign != "~" and right not in operands:  # the number is the bound: the effect that is shown is then the left side itself
        right, bound = "0", bound + float(right)
    kinds: dict[str, Sign] = {">=": ">", ">": ">", "<=": "<", "<": "<", "~": "~"}
    return Relation(str(node.value).strip(), left, kinds[sign], right, bound)


def _share(node: Node | None) -> float | Literal["pooled"]:
    words: dict[object, float | Literal["pooled"]] = {"every": 1.0, "some": 0.0, "pooled": "pooled"}
    if node is None:
        return 1.0
    if isinstance(node.value, str) and node.value in words:
        return words[node.value]
    found = _SHARE.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
    if not found or not 0 < float(found[1]) <= 100:
        raise failure(node, f"expected every, some, pooled or a share such as 80 %, found {shown(node.plain)}.")
    return float(found[1]) / 100


def _reference(node: Node) -> Reference:
    check_words(node, REFERENCE, what="key of a reference:", required=("id", "metric", "source"))
    given = node.items
    value = given["value"].value if "value" in given else None
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise failure(given["value"], f"expected a number, found {shown(given['value'].plain)}.")
    return Reference(
        text_of(given["id"]),
        selector(given["where"]) if "where" in given else None,
        _metric(given["metric"]),
        None if value is None else float(value),
        text_of(given["source"]),
        text_of(given.get("note")),
        switch_of(given.get("comparable"), default=True),
    )


def select_of(node: Node | None) -> Selection | None:
    """What is chosen among runs, by which scores."""
    if node is None or node.value is None:
        return None
    check_words(node, SELECT, what="key of select:", required=("by", "over"))
    by = tuple(_scored(item) for item in node.items["by"].entries)
    over = tuple(_attribute(item, parts=False) for item in node.items["over"].entries)
    if not over:
        raise failure(node.items["over"], "an empty list: expected attributes such as recipe.optimizer.lr.")
    return Selection(by, over)


def _scored(node: Node) -> str:
    name = text_of(node)
    part, dot, metric = name.partition(".")
    if not dot or part not in ("test", "validation"):
        raise failure(node, f"expected validation.METRIC or test.METRIC, such as validation.auc, found {shown(name)}.")
    if metric not in registry.names("metrics"):
        raise failure(node, unknown("metric", metric, registry.names("metrics")))
    return name
