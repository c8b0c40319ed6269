"""Keys and values as MLflow takes them: hostile names escaped without collisions, long values cut, numbers in their shortest form."""

from __future__ import annotations

import hashlib
import re

from benchmark.identity import as_number
from benchmark.records import DERIVED
from benchmark.redaction import redact

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 5000
BASELINE_TAG = "bench.baseline"
"""The names of the baselines that a run belongs to, separated by commas. Not of its content: writing a run anew leaves it."""
_ESCAPED = re.compile(r"[^\w.\- ]")


def result_key(name: str) -> str:
    """`test/auc`, `test/recall/cat`, `validation/auc`, `history/gap_growth`: what stands before the last slash is a section of charts."""
    if name in DERIVED:
        return metric_key(f"history/{name}")
    is_validation = name.startswith("validation.")
    return metric_key(name.removeprefix("validation."), section="validation/" if is_validation else "test/")


def metric_key(name: str, *, section: str = "") -> str:
    """`recall/<class>` with the class name escaped: MLflow takes letters, digits and `_-. :/`, and no name that reads as a path.

    What stands after the first slash is one part. A character that is not allowed becomes `:<hex>:`, so no two names meet.
    """
    head, slash, part = name.partition("/")
    key = section + escaped(head) + (f"/{escaped(part)}" if slash else "")
    return key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 18]}:{hashlib.sha256(key.encode()).hexdigest()[:16]}:"


def escaped(part: str) -> str:
    """One part of a key. `.`, `..` and nothing would change the path: they are escaped whole."""
    if part in ("", ".", ".."):
        return "".join(f":{ord(char):x}:" for char in part) or "::"
    return _ESCAPED.sub(lambda hit: f":{ord(hit.group()):x}:", part)


def value_text(value: str | int | float | bool | None) -> str:
    """A parameter's value: `true`, `null`, `10` for 10.0, text as it is, URIs without their passwords; cut where MLflow would cut it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        value = as_number(value)
    return cut(redact(str(value)), MAX_PARAM)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, all of which a database takes: no NUL, no half of a surrogate pair."""
    text = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return text if len(text) <= limit else text[: limit - 1] + "…"
