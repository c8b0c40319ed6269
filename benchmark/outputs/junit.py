"""A check as JUnit XML, which CI systems show as tests: one suite per configuration, one test per measure and per cell without a result."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any

from benchmark.outputs.document import Document
from benchmark.outputs.texts import number

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {"regressed": "failure", "inconclusive": "skipped", "not measured": "error", "failed": "error"}


def junit(document: Document) -> bytes:
    """`regressed` is a failure, `inconclusive` a skipped test, what could not be measured an error. A check of nothing has one error."""
    root = ElementTree.Element("testsuites", name=_clean(f"skewbench {document['suite']}"))
    for found in (*document["configurations"], {"name": "all together", "judgements": document["overall"], "cells": []}):
        _suite(root, document, found)
    if not root.findall("./testsuite/testcase"):
        case = _case(ElementTree.SubElement(root, "testsuite", name=_clean(document["suite"])), document, document["suite"], "result")
        if document["outcome"] != "ok":
            _ended(case, "failed", document["summary"], "\n".join(document["problems"]))
    for element in (*root.findall("testsuite"), root):
        _count(element)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _suite(root: ElementTree.Element, document: Document, found: Mapping[str, Any]) -> None:
    cells = [cell for cell in found["cells"] if cell["state"] in ("missing", "failed")]
    if not found["judgements"] and not cells:
        return
    suite = ElementTree.SubElement(root, "testsuite", name=_clean(found["name"]))
    for judgement in found["judgements"]:
        case = _case(suite, document, found["name"], f"{judgement['measure']}: {judgement['metric']}")
        _ended(case, judgement["outcome"], _words(judgement), _details(judgement))
    for cell in cells:
        case = _case(suite, document, found["name"], f"seed {cell['seed']}")
        _ended(case, "failed", f"{cell['state']}: {cell['reason'] or 'no reason given'}", cell["command"])


def _case(suite: ElementTree.Element, document: Document, configuration: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_clean(f"{document['suite']}.{configuration}"), name=_clean(name), time="0")


def _ended(case: ElementTree.Element, outcome: str, told: str, details: str) -> None:
    kind = _ELEMENTS.get(outcome)
    if kind is not None:
        ElementTree.SubElement(case, kind, message=_clean(told), type=_clean(outcome)).text = _clean(details)


def _words(judgement: Mapping[str, Any]) -> str:
    return f"{judgement['metric']} {number(judgement['before'])} → {number(judgement['after'])} (loss {number(judgement['loss'])})"


def _details(judgement: Mapping[str, Any]) -> str:
    names = ("margin", "low", "high", "p")
    return "\n".join([judgement["test"], *(f"{name}: {number(judgement[name])}" for name in names), judgement["note"]])


def _count(element: ElementTree.Element) -> None:
    element.set("tests", str(len(element.findall(".//testcase"))))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        element.set(name, str(len(element.findall(f".//{kind}"))))


def _clean(text: object) -> str:
    """Without the characters that XML cannot hold at all."""
    return _FORBIDDEN.sub("\ufffd", str(text))
