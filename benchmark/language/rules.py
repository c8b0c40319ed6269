"""Selectors over cells: `when` and `require` of a suite's rules, and `--only` on the command line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark import registry, typed
from benchmark.errors import InvalidValue, UserError, shown, unknown
from benchmark.language.document import parse
from benchmark.language.keys import AXES, CONSTRAINT, EXCLUDE
from benchmark.language.located import Node, Place, failure
from benchmark.language.words import check_words, text_of
from benchmark.recipe import Recipe
from benchmark.records import Attribute
from benchmark.selectors import ORDERED, Condition, Selector, Test

_NUMBER = r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")
_COMPARISON = re.compile(r"(>=|<=|>|<|!=|==)\s*(.*)", re.DOTALL)
_SETTING = re.compile(r"([\w.-]+)\s*(>=|<=|!=|==|=|>|<)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """Leaves out the cells that match `when` and, where there is a `require`, do not match that."""

    name: str
    when: Selector
    because: str
    require: Selector | None = None

    @property
    def uses_seed(self) -> bool:
        return self.when.uses_seed or (self.require is not None and self.require.uses_seed)

    def leaves_out(self, attributes: Mapping[str, Attribute]) -> bool:
        return self.when.matches(attributes) and not (self.require is not None and self.require.matches(attributes))


def reason(rules: Sequence[Rule], attributes: Mapping[str, Attribute]) -> str:
    """The first rule that leaves a cell out, as `exclude #2: because`; empty if none does."""
    return next((f"{rule.name}: {rule.because}" for rule in rules if rule.leaves_out(attributes)), "")


def rules_of(node: Node | None, word: str) -> list[Rule]:
    if node is None or node.value is None:
        return []
    if not isinstance(node.value, list):
        raise failure(node, f"expected a list of rules, found {shown(node.plain)}. Put '- ' before each.")
    return [_rule(item, f"{word} #{i + 1}") for i, item in enumerate(node.value)]


def _rule(node: Node, name: str) -> Rule:
    if name.startswith("exclude"):
        check_words(node, EXCLUDE, what="key of a rule:", required=("when", "because"))
        return Rule(name, selector(node.items["when"]), text_of(node.items["because"]))
    check_words(node, CONSTRAINT, what="key of a rule:", required=("require", "because"))
    when = selector(node.items["when"]) if "when" in node.items else Selector(())
    return Rule(name, when, text_of(node.items["because"]), selector(node.items["require"]))


def selector(node: Node) -> Selector:
    """A selector from its mapping in a suite; SuiteError if an attribute or a value in it cannot exist."""
    if not isinstance(node.value, dict) or not node.value:
        raise failure(node, f"expected conditions as `{{attribute: value}}`, found {shown(node.plain)}.")
    return Selector(tuple(_condition(str(name), item, node) for name, item in node.value.items()))


def command_line_selector(settings: Iterable[str]) -> Selector:
    """What `--only key=value …` asks for: all of them must hold."""
    return Selector(tuple(_from_setting(text) for text in settings))


def _from_setting(text: str) -> Condition:
    source = f"--only {text}"
    found = _SETTING.fullmatch(text.strip())
    if not found:
        raise UserError(f"{source}: expected `attribute=value`, such as `--only method=ros` or `--only 'imbalance.ratio>=100'`.")
    name, sign, value = found[1], found[2], found[3]
    if "," in value and value[0] not in "[{'\"":
        raise UserError(f"{source}: a list is written in brackets: `--only '{name}{sign}[{value}]'`.")
    if sign != "=" or _COMPARISON.fullmatch(value):
        item = Node(value if sign == "=" else f"{sign}{value}", Place(source))
    else:
        item = parse(value, source=source, lines=False)
    return _condition(name, item, Node({name: item}, Place(source)))


def _condition(name: str, item: Node, parent: Node) -> Condition:
    try:
        kind = attribute_kind(name)
    except InvalidValue as error:
        raise failure(parent, error.problem, key=next((key for key in parent.keys if str(key) == name), None)) from None
    if isinstance(item.value, dict) or item.value == []:
        raise failure(item, f"expected a value, a list of values or a comparison such as '>= 100', found {shown(item.plain)}.")
    return Condition(name, tuple(_test(entry, kind) for entry in item.entries))


def _test(node: Node, kind: str | None) -> Test:
    if isinstance(node.value, dict | list) or (isinstance(node.value, float) and node.value - node.value != 0):
        raise failure(node, f"expected a value or a comparison such as '>= 100', found {shown(node.plain)}.")
    test = _parsed(node)
    if kind is not None:
        _check_name(kind, test, node)
    return test


def _parsed(node: Node) -> Test:
    value = node.value
    assert not isinstance(value, dict | list), node
    if not isinstance(value, str):
        return Test("==", value)
    both = _RANGE.fullmatch(value.strip())
    if both:
        return Test("..", float(both[1]), float(both[2]))
    comparison = _COMPARISON.fullmatch(value.strip())
    if not comparison:
        return Test("==", value)
    operand = parse(comparison[2], source=str(node.place), lines=False).value
    if isinstance(operand, dict | list) or operand is None and comparison[2].strip() == "":
        raise failure(node, f"expected a value after '{comparison[1]}', found {shown(comparison[2])}.")
    if comparison[1] in ORDERED and (isinstance(operand, bool) or not isinstance(operand, int | float)):
        raise failure(node, f"expected a number after '{comparison[1]}', found {shown(operand)}.")
    return Test(comparison[1], operand)


def _check_name(kind: str, test: Test, node: Node) -> None:
    """An attribute that holds a plug-in's name is compared with names alone: a misspelt one would match nothing."""
    if test.sign not in ("==", "!="):
        raise failure(node, f"expected a {kind.removesuffix('s')}'s name, found {shown(node.plain)}.")
    try:
        registry.get(kind, str(test.operand)) if test.operand is not None else None
    except InvalidValue as error:
        raise failure(node, error.problem) from None


def attribute_kind(name: str) -> str | None:
    """The kind of plug-in whose name the attribute holds, None if it holds a parameter; InvalidValue if no cell can have it."""
    first, *rest = name.split(".")
    if name == "seed":
        return None
    if first not in (*AXES, "recipe") or (first == "recipe" and not rest):
        raise InvalidValue(unknown("attribute", name, _near(name)))
    kind = AXES.get(first)
    classes: list[type] = [Recipe] if kind is None else _classes(kind)
    for depth, segment in enumerate(rest):
        having = [cls for cls in classes if segment in fields_of(cls)]
        if not having:
            prefix = ".".join([first, *rest[:depth]])
            raise InvalidValue(unknown("attribute", name, {f"{prefix}.{field}" for cls in classes for field in fields_of(cls)}))
        kinds = [registry.plugin_kind(typed.types_of(cls)[segment]) for cls in having]
        kind = next((found for found in kinds if found is not None), None)
        classes = _classes(kind) if kind is not None else []
    return kind


def _near(name: str) -> list[str]:
    """Attributes to offer for a name whose start is unknown: those that end like it, else the short list."""
    ending = [known for known in attribute_names() if known.rpartition(".")[2] == name.rpartition(".")[2]]
    return ending or [*AXES, "seed", "recipe.iterations", "recipe.batch"]


def attribute_names() -> list[str]:
    """Every attribute a cell may have, those of plug-ins inside plug-ins to one level, sorted."""
    found = {"seed", *AXES} | {f"recipe.{name}" for name in fields_of(Recipe)}
    owners = [(axis, cls) for axis, kind in AXES.items() for cls in _classes(kind)] + [("recipe", Recipe)]
    for prefix, cls in owners:
        for field in fields_of(cls):
            found.add(f"{prefix}.{field}")
            kind = registry.plugin_kind(typed.types_of(cls)[field])
            found |= {f"{prefix}.{field}.{name}" for inner in (_classes(kind) if kind else []) for name in fields_of(inner)}
    return sorted(found)


def fields_of(cls: type) -> list[str]:
    """The parameters of a plug-in or of the recipe."""
    return [item.name for item in dataclasses.fields(cls)]


def _classes(kind: str) -> list[type]:
    return [registry.get(kind, name) for name in registry.names(kind)]
