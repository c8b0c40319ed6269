"""The summary of a check in Markdown, and its one message for chat. Every name in it is taken literally."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.outputs.document import Document

SIGNS: Mapping[str, str] = {"ok": "✅", "regressed": "❌", "inconclusive": "❔", "not measured": "⚠️", "failed": "⚠️"}
MAX_ROWS, MAX_LINES = 200, 50
"""GitHub takes a summary of 1 MiB; a reader takes less."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!@])")


def markdown(document: Document) -> str:
    """A heading with the outcome, what got worse and better, what could not be measured, what changed, and all numbers in a table."""
    against = f" against {escaped(document['baseline'])}" if document["baseline"] else ""
    outcome = document["outcome"]
    parts = [f"## {SIGNS.get(outcome, '')} {escaped(document['suite'])}{against}: {outcome}", escaped(document["summary"])]
    sections = (("Worse", "regressions"), ("Better", "improvements"), ("Not measured", "problems"), ("New", "new"))
    parts += [text for title, key in sections if (text := _listed(title, document[key]))]
    parts += _changes(document["changes"])
    parts += _table([*document["configurations"], {"name": "all together", "judgements": document["overall"]}])
    command = " ".join(str(document["command"]).split()).replace("`", "'")
    parts += [f"Again: `` {command} ``"] if command else []
    return "\n\n".join(parts) + "\n"


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    rest = [f"- … and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return "\n".join([f"**{title}**", "", *(f"- {escaped(line)}" for line in lines[:MAX_LINES]), *rest])


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    texts = [f"{change['kind']} {change['name']}: {change['before'] or 'none'} → {change['after'] or 'none'}" for change in changes]
    return [text for text in [_listed("What changed", texts)] if text]


def _table(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [(found["name"], judgement) for found in configurations for judgement in found["judgements"]]
    if not rows:
        return []
    head = ["| | measure | before | now | loss | p | test | outcome |", "|---|---|---:|---:|---:|---:|---|---|"]
    rest = [f"… and {len(rows) - MAX_ROWS} more rows in the JSON document."] if len(rows) > MAX_ROWS else []
    return ["\n".join(head + [_row(name, judgement) for name, judgement in rows[:MAX_ROWS]]), *rest]


def _row(name: str, judgement: Mapping[str, Any]) -> str:
    numbers = [number(judgement[key]) for key in ("before", "after", "loss", "p")]
    outcome = "improved" if judgement["improved"] else judgement["outcome"]
    words = [escaped(text) for text in (name, judgement["metric"])]
    return "| " + " | ".join([*words, *numbers, escaped(judgement["test"]), f"{SIGNS.get(judgement['outcome'], '')} {outcome}"]) + " |"


def number(value: float | None) -> str:
    """Four digits; a dash for what is not known."""
    return "–" if value is None or value != value else f"{value:.4g}"


def escaped(text: object) -> str:
    """One line of text that Markdown and HTML take literally; a mention of nobody."""
    line = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", line).replace("&", "&amp;")


def message(document: Document) -> dict[str, Any]:
    """What a webhook is sent: `text` as Slack and its likes show it, and the document without its cells for programs."""
    against = f" against {document['baseline']}" if document["baseline"] else ""
    lines = [f"{SIGNS.get(document['outcome'], '')} *{_slack(document['suite'])}*{_slack(against)}: {_slack(document['summary'])}"]
    for key in ("regressions", "problems", "improvements"):
        lines += [f"• {_slack(line)}" for line in document[key][:10]]
    lines += [f"`{_slack(document['command'])}`"] if document["command"] else []
    short = {key: value for key, value in document.items() if key != "configurations"}
    short["configurations"] = [{key: value for key, value in found.items() if key != "cells"} for found in document["configurations"]]
    return {"text": "\n".join(lines)[:3500], "skewbench": short}


def _slack(text: object) -> str:
    """Slack's three control characters, without which nothing is a link or a mention."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
