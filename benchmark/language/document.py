"""YAML, read safely: plain values with their lines, the scalar rules of YAML 1.2, and hostile input refused.

Only `true` and `false` are booleans, whole numbers are decimal (`010` and `0x1f` are text), `1e-3` is a number, dates are
text. Tags and merge keys (`<<`) are refused; anchors may be used as long as the document stays small when written out.
"""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Any

from yaml import events, nodes
from yaml.composer import Composer, ComposerError
from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from benchmark.errors import Path, UserError, shown
from benchmark.language.located import Key, Node, Place, Scalar, SuiteError
from benchmark.redaction import holds_secret, redact

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values in a document, every alias written out."""
MAX_DEPTH = 40
MAX_TEXT = 10_000
MAX_WHOLE = 2**63 - 1

_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("text", r"[-+]?0[0-9]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
)
_HINTS = {
    "mapping values are not allowed here": " A value that contains ': ' belongs in quotes; a key needs a space after its colon.",
    "could not find expected ':'": " A key is written `key: value`, with a space after the colon.",
    "found unexpected end of stream": " A quote or bracket that opens here is never closed.",
    "expected ',' or ']', but got '<stream end>'": " A bracket is never closed.",
}
_STRAY = ("'<block mapping start>'", "'<block sequence start>'", "'-'", "'?'")
"""What the parser meets where a line starts in a column of no open block."""


def read_file(path: FilePath) -> str:
    """The text of a suite's file; UserError if it is absent, too large or not UTF-8."""
    name = display(path)
    try:
        if not path.is_file():
            raise UserError(f"{name}: there is no such file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{name}: larger than {MAX_BYTES:,} bytes: this is no suite.")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{name}: starts with a byte-order mark: save it as UTF-8 without one ('UTF-8', not 'UTF-8 with BOM' or 'UTF-16').")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}:{line}: not UTF-8 text: byte 0x{data[error.start]:02x}. Save the file as UTF-8.") from None


def display(path: FilePath) -> str:
    """A file's name in messages: relative to the current folder where it is below it."""
    try:
        return str(path.absolute().relative_to(FilePath.cwd()))
    except (ValueError, OSError):
        return str(path)


def parse(text: str, *, source: str, path: Path = (), lines: bool = True) -> Node:
    """One YAML document as a Node; SuiteError for anything else. `lines=False`: `source` is an argument, not a file."""
    try:
        root = _Composer(text).compose()
    except _Refused as refusal:
        raise SuiteError(refusal.problem, place=_place(source, refusal.mark, lines)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        found = error.character if isinstance(error.character, int) else ord(error.character[:1])
        raise SuiteError(f"a character that YAML does not allow: U+{found:04X}.", place=Place(source, line * lines)) from None
    except MarkedYAMLError as error:
        raise _syntax(error, text, source, lines) from None
    except (YAMLError, ValueError, OverflowError):  # the last two: escapes such as "\Uffffffff"
        raise SuiteError("not valid YAML: an escape or directive that names no character.", place=Place(source, 1 * lines)) from None
    try:
        return _Reading(source, lines).node(root, path, None)
    except _Refused as refusal:
        raise SuiteError(refusal.problem, place=_place(source, refusal.mark, lines)) from None


class _Refused(Exception):
    """A construct that the language does not have, at a mark."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mark: Mark = mark


class _Composer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's composer that counts what aliases stand for before anything is written out."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.sizes: dict[int, int] = {}
        self.num_nodes = 0
        self.nesting = 0

    def compose(self) -> nodes.Node | None:
        """The only document of the stream, None if it is empty."""
        self.get_event()  # type: ignore[no-untyped-call]  # the stubs leave the parser untyped
        root = None if self.check_event(events.StreamEndEvent) else self.compose_document()
        if not self.check_event(events.StreamEndEvent):
            raise _Refused("a second document starts here ('---'): a suite is one document.", self._next().start_mark)
        return root

    def _next(self) -> events.Event:
        event: events.Event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave the parser untyped
        return event

    def compose_node(self, parent: nodes.Node | None, index: int) -> nodes.Node | None:
        event = self._next()
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(f"the tag '{tag.replace(_TAG, '!!')}' is refused: a suite is plain YAML. Quote text instead.", event.start_mark)
        before = self.num_nodes
        self.nesting += 1
        self.num_nodes += 1
        if self.nesting > MAX_DEPTH:
            raise _Refused(f"nested more than {MAX_DEPTH} deep.", event.start_mark)
        node: nodes.Node | None = Composer.compose_node(self, parent, index)
        self.nesting -= 1
        if isinstance(event, events.AliasEvent):
            if id(node) not in self.sizes:
                raise _Refused(f"'*{event.anchor}' stands inside the value that it names.", event.start_mark)
            self.num_nodes += self.sizes[id(node)]
        if self.num_nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES:,} values once every alias is written out: refused.", event.start_mark)
        self.sizes.setdefault(id(node), self.num_nodes - before)
        return node


for _name, _pattern, _first in _SCALARS:
    _Composer.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)


class _Reading:
    """From PyYAML's nodes to ours."""

    def __init__(self, source: str, lines: bool) -> None:
        self.source = source
        self.lines = lines

    def node(self, node: nodes.Node | None, path: Path, key: Place | None) -> Node:
        """One node and all below it. A block that starts under its key is placed at the key."""
        if node is None:
            return Node(None, Place(self.source, 1 * self.lines), path)
        place = _place(self.source, node.start_mark, self.lines)
        if isinstance(node, nodes.ScalarNode):
            return Node(_scalar(node), place, path)
        assert isinstance(node, nodes.CollectionNode), node
        place = place if key is None or node.flow_style else key
        if isinstance(node, nodes.SequenceNode):
            return Node([self.node(item, (*path, i), None) for i, item in enumerate(node.value)], place, path)
        assert isinstance(node, nodes.MappingNode), node
        return self._mapping(node, path, place)

    def _mapping(self, node: nodes.MappingNode, path: Path, place: Place) -> Node:
        values: dict[Key, Node] = {}
        keys: dict[Key, Place] = {}
        seen: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            where = _place(self.source, key_node.start_mark, self.lines)
            first = seen.setdefault(str(key), where)
            if first is not where:
                raise _Refused(f"the key '{key}' stands twice: first on line {first.line}, again here.", key_node.start_mark)
            keys[key] = where
            values[key] = self.node(value_node, (*path, key), where)
        return Node(values, place, path, keys)


def _key(node: nodes.Node) -> Key:
    value = _scalar(node) if isinstance(node, nodes.ScalarNode) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        found = (node.value or "nothing") if isinstance(node, nodes.ScalarNode) else "a list or mapping"
        raise _Refused(f"expected a key that is a name or a whole number, found {found}. Names can be quoted.", node.start_mark)
    if value == "<<":
        raise _Refused("merge keys ('<<') are not part of the language: put what grids share under `defaults`.", node.start_mark)
    return value


def _scalar(node: nodes.ScalarNode) -> Scalar:
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    if len(text) > MAX_TEXT:
        raise _Refused(f"a text of {len(text):,} characters: at most {MAX_TEXT:,} are read.", node.start_mark)
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
        raise _Refused(f"{shown(text)} holds an escape that stands for no character.", node.start_mark)
    if holds_secret(text):
        hidden = shown(redact(text))
        raise _Refused(
            f"{hidden} holds a password or token: it would stand in every result. Take it from the environment.", node.start_mark
        )
    if node.style is None and re.match(r"-[A-Za-z_{\[]", text) and not text.startswith("-."):
        raise _Refused(f"'{text}': an entry of a list needs a space after its dash.", node.start_mark)
    if tag == "int":
        if len(text) > 20 or abs(int(text)) > MAX_WHOLE:
            raise _Refused(f"the whole number {shown(text)} is beyond 64 bits.", node.start_mark)
        return int(text)
    if tag == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return {"null": None, "bool": text.lower() == "true"}.get(tag, text)


def _place(source: str, mark: Mark, lines: bool) -> Place:
    return Place(source, mark.line + 1, mark.column + 1) if lines else Place(source)


def _syntax(error: MarkedYAMLError, text: str, source: str, lines: bool) -> SuiteError:
    mark, problem = error.problem_mark, error.problem or "it cannot be read"
    if problem in ("could not find expected ':'", "found unexpected end of stream") and error.context_mark is not None:
        mark = error.context_mark
    line = mark.line if mark is not None else 0
    content = (text.splitlines() or [""])[min(line, len(text.splitlines()) - 1)] if text else ""
    place = Place(source, (line + 1) * lines)
    if "\t" in content[: len(content) - len(content.lstrip())] or "'\\t'" in problem:
        return SuiteError("a tab where YAML wants spaces: indent with spaces.", place=place)
    if isinstance(error, ComposerError) and "alias" in problem:
        return SuiteError(f"{problem}: name it with '&' before it is used.", place=place)
    if problem.startswith("expected <block end>, but found") and problem.endswith(_STRAY):
        return SuiteError(f"line {line + 1} is indented differently from its neighbours, or is no entry as they are.", place=place)
    return SuiteError(f"not valid YAML: {problem}.{_HINTS.get(problem, '')}", place=place)
