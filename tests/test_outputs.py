"""What is told of a check: read back as its reader would, with names that try to break out; a dead webhook loses nothing."""

from __future__ import annotations

import copy
import json
import logging
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import results_factory as factory
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.cli.outputs import Outputs, deliver
from benchmark.errors import UserError
from benchmark.outputs.document import failure_document, run_document
from benchmark.outputs.junit import junit
from benchmark.outputs.outbox import Outbox, checked_hook, hidden
from benchmark.outputs.texts import escaped, markdown, message

HOSTILE = "a|b `x` <script> *s* _u_ [l](http://e) & \"q\" 'r' @all \x00\x1b\n## no"


def judgement(metric="accuracy", outcome="ok", measure="quality", **changes):
    plain = {"measure": measure, "metric": metric, "outcome": outcome, "improved": False, "before": 0.913, "after": 0.892, "loss": 0.021,
             "low": None, "high": 0.03, "margin": 0.005, "p": 0.0004, "num": 5, "test": "paired t over 5 seeds", "note": ""}  # fmt: skip
    return {**plain, **changes}


def document(name="ros · step ratio=5", **changes):
    """A check as the gate writes it: one regression, one improvement, one that is undecided, one failed cell."""
    cells = [
        {"pair": "3c", "seed": 0, "state": "measured", "reason": "", "command": "", "before_key": "a", "after_key": "b", "changes": [],
         "judgements": []},
        {"pair": "3d", "seed": 1, "state": "failed", "reason": "not-finite: loss", "command": "skewbench run x --only seed=1",
         "before_key": "", "after_key": "", "changes": [], "judgements": []},
    ]  # fmt: skip
    judgements = [judgement(outcome="regressed"), judgement("auc", improved=True), judgement("seconds", "inconclusive", "time")]
    made = {
        "version": 1, "suite": "nightly", "baseline": "main", "outcome": "regressed", "exit_code": 3, "summary": f"regressed: {name}",
        "policy": {}, "configurations": [{"name": name, "key": "k", "attributes": {}, "outcome": "regressed", "judgements": judgements,
                                          "cells": cells}],
        "overall": [judgement()], "changes": [{"kind": "library", "name": "torch", "before": "2.9", "after": None}],
        "problems": ["failed: seed 1"], "regressions": [f"{name}: accuracy"], "improvements": [], "new": [], "accepted": 1.0,
        "created": 1_795_563_600.0, "commit_before": "aaa", "commit_after": "bbb", "command": "skewbench gate nightly",
    }  # fmt: skip
    return {**made, **changes}


def test_the_summary_tells_what_a_reader_asks_first():
    text = markdown(document())
    assert text.startswith("## ❌ nightly against main: regressed\n")
    for part in (
        "**Worse**",
        "**Not measured**",
        "**What changed**",
        "torch: 2.9 → none",
        "| 0.913 | 0.892 | 0.021 | 0.0004 |",
        "improved",
    ):
        assert part in text
    assert "**Better**" not in text


def test_names_cannot_break_out_of_markdown():
    text = markdown(document(HOSTILE))
    assert "<script>" not in text
    assert "\n## no" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert escaped("a *b* & c") == "a \\*b\\* &amp; c"


def test_junit_says_the_same_to_a_machine():
    root = ElementTree.fromstring(junit(document()))
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "1", "1"]
    (failure,) = root.iter("failure")
    assert failure.get("message") == "accuracy 0.913 → 0.892 (loss 0.021)"
    (error,) = root.iter("error")
    assert error.get("message") == "failed: not-finite: loss"
    assert error.text == "skewbench run x --only seed=1"
    first = root.find("testsuite")
    assert (first.get("name"), first.get("tests")) == ("ros · step ratio=5", "4")


@settings(max_examples=40)
@given(st.text())
def test_junit_is_xml_whatever_the_names(text):
    root = ElementTree.fromstring(junit(document(text)))
    names = [suite.get("name") for suite in root.iter("testsuite")]
    codes = {*range(32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF} - {9, 10, 13}
    forbidden = {chr(code) for code in codes}
    shown = "".join("\ufffd" if char in forbidden else char for char in text)
    assert names[0] == shown


def test_a_check_of_nothing_is_an_error_and_never_an_empty_pass():
    root = ElementTree.fromstring(junit(failure_document("s", -9, log_tail="Killed\n")))
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    assert next(root.iter("error")).get("message") == "failed: the command ended with signal 9 and no result"


def test_a_run_without_a_baseline_has_the_same_form():
    results = factory.results(seeds=2)
    found = run_document(results)
    assert (found["outcome"], found["exit_code"], found["summary"]) == ("ok", 0, "ok: 12 of 12 cells measured")
    assert document().keys() - found.keys() == {"policy", "accepted"}
    broken = replace(results.cells[0], status="failed", reason="timeout: 5 s")
    bad = run_document(replace(results, cells=(broken, *results.cells[1:])))
    assert (bad["outcome"], bad["exit_code"], len(bad["problems"])) == ("failed", 1, 1)
    for made in (found, bad):
        assert ElementTree.fromstring(junit(made)).get("errors") == str(made["exit_code"])
        assert json.loads(json.dumps(message(made), allow_nan=False))["text"]
        assert "| auc |" in markdown(made)


def test_a_chat_message_has_no_links_or_mentions_of_ours():
    told = message(document("<!channel> & co"))
    assert "<!channel>" not in told["text"]
    assert "&lt;!channel&gt; &amp; co" in told["text"]
    assert told["skewbench"]["outcome"] == "regressed"
    assert "cells" not in told["skewbench"]["configurations"][0]


class Hook:
    """A webhook's server that answers as it is told to and remembers."""

    def __init__(self) -> None:
        self.code, self.taken, self.asked = 200, [], 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.asked += 1
                if hook.code == 200:
                    hook.taken.append(body)
                self.send_response(hook.code)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/s3cret?token=t0ken"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_dead_webhook_loses_nothing(tmp_path, hook):
    outbox = Outbox(tmp_path, timeout=5)
    hook.code = 500
    for number in range(3):
        outbox.put(hook.url, {"text": str(number)})
    failed = outbox.flush()
    assert (failed.sent, failed.waiting, hook.asked) == (0, 3, 1)  # one that is down is asked once
    assert "500" in failed.problem
    hook.code = 200
    assert Outbox(tmp_path).flush().sent == 3
    assert [taken["text"] for taken in hook.taken] == ["0", "1", "2"]
    assert len({taken["id"] for taken in hook.taken}) == 3
    assert Outbox(tmp_path).flush() == Outbox(tmp_path / "none").flush()


@pytest.mark.parametrize("code", [301, 400, 404])
def test_a_webhook_that_does_not_take_a_message_has_not_got_it(tmp_path, hook, code):
    hook.code = code
    outbox = Outbox(tmp_path)
    outbox.put(hook.url, {"text": "x"})
    assert str(code) in outbox.flush().problem
    assert outbox.flush().waiting == 1


def test_one_dead_webhook_does_not_hold_up_another(tmp_path, hook):
    outbox = Outbox(tmp_path, timeout=1)
    outbox.put("http://127.0.0.1:9/s3cret", {"text": "a"})
    outbox.put(hook.url, {"text": "b"})
    done = outbox.flush()
    assert (done.sent, done.waiting) == (1, 1)


def test_the_secret_of_a_webhook_is_nowhere_to_be_read(tmp_path, hook, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    hook.code = 403
    deliver(document(), Outputs(webhook=hook.url), store=tmp_path, tracker=False)
    told = "".join(capsys.readouterr()) + caplog.text
    assert "403" in told
    assert "kept and sent with the next result" in told
    assert not any(secret in told for secret in ("s3cret", "t0ken"))
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "outbox").glob("*.json"))
    assert hidden("https://user:pw@host:8080/a/b?c=d") == "https://host:8080/…"
    hook.code = 200
    deliver(document(), Outputs(), store=tmp_path, tracker=False)
    assert len(hook.taken) == 1


@pytest.mark.parametrize(
    "url", ["", "h/s3cret", "ftp://h/s3cret", "https:///s3cret", "https://h:x/s3cret", "https://h/s3cret b", "https://h/s3cret\n"]
)
def test_what_is_no_webhook_is_refused_unseen(tmp_path, url):
    with pytest.raises(UserError) as refused:
        checked_hook(url)
    assert "s3cret" not in str(refused.value)


def test_files_and_the_step_summary_are_written(tmp_path, monkeypatch):
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    outputs = Outputs(summary=tmp_path / "new" / "s.md", junit=tmp_path / "j.xml")
    given = document()
    deliver(copy.deepcopy(given), outputs, store=tmp_path, tracker=False)
    assert outputs.summary.read_text() == markdown(given)
    assert step.read_text() == "before\n" + markdown(given)
    assert outputs.junit.read_bytes() == junit(given)
    assert not (tmp_path / "outbox").exists()
