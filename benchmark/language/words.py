"""Keys, texts and switches of the suite language, each refused with what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmark.errors import shown, unknown
from benchmark.language.keys import GRID, Word
from benchmark.language.located import Key, Node, SuiteError, failure
from benchmark.language.misplaced import belongs


def check_words(node: Node, words: Mapping[str, Word], *, what: str, required: Sequence[str] = ()) -> None:
    """Refuse anything but a mapping with known keys and all required ones."""
    if node.value is None:
        raise failure(node, f"expected a mapping with the keys {', '.join(words)}, found nothing.")
    if not isinstance(node.value, dict):
        colon = " A key needs a space after its colon." if isinstance(node.value, str) and ":" in node.value else ""
        raise failure(node, f"expected a mapping with the keys {', '.join(words)}, found {shown(node.plain)}.{colon}")
    for key in node.value:
        if key not in words:
            raise _unknown_key(node, key, words, what)
    for key in required:
        if node.items.get(key) is None or node.items[key].value is None:
            raise failure(node, f"'{key}' is missing: {words[key].doc}.")


def _unknown_key(node: Node, key: Key, words: Mapping[str, Word], what: str) -> SuiteError:
    if key in GRID and what == "key":
        return failure(node, f"'{key}' cannot stand here. It belongs under 'grid' (or 'defaults').", key=key)
    where = "" if "rule" in what else belongs(str(key), node.items[key].plain)
    return failure(node, f"'{key}' cannot stand here: {where}" if where else unknown(what, key, words), key=key)


def text_of(node: Node | None) -> str:
    if node is None:
        return ""
    if not isinstance(node.value, str) or not node.value.strip():
        raise failure(node, f"expected a text, found {shown(node.plain)}.")
    return node.value.strip()


def switch_of(node: Node | None, *, default: bool) -> bool:
    if node is None:
        return default
    words = {"on": True, "off": False, True: True, False: False}
    if isinstance(node.value, dict | list) or node.value not in words or (isinstance(node.value, int) and not isinstance(node.value, bool)):
        raise failure(node, f"expected on or off, found {shown(node.plain)}.")
    return words[node.value]


def seeds_of(node: Node | None) -> Sequence[int]:
    """The seeds that a suite or grid states: how many, or which; one where it states none. SuiteError for anything else."""
    if node is None:
        return range(1)
    for entry in node.entries:
        if isinstance(entry.value, bool) or not isinstance(entry.value, int):
            raise failure(entry, f"expected how many seeds, or a list of whole numbers, found {shown(entry.plain)}.")
    if isinstance(node.value, int):
        if node.value < 1:
            raise failure(node, f"expected at least 1 seed, found {node.value}.")
        return range(node.value)
    found = tuple(int(entry.plain) for entry in node.entries)
    twice = [seed for seed in found if found.count(seed) > 1] if len(set(found)) < len(found) else []
    if twice:
        raise failure(node, f"seed {twice[0]} stands twice: expected different seeds.")
    if not found or min(found) < 0:
        raise failure(node, f"expected a list of different seeds of 0 or more, found {shown(node.plain)}.")
    return found
