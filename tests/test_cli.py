"""The command line as people use it: what it prints, what it leaves behind, its exit codes."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import results_factory as factory

from benchmark.cli import main
from benchmark.cli.browse import tracker_place
from benchmark.cli.console import print_json
from benchmark.cli.session import Choice

ROOT = Path(__file__).parent.parent
SUITE = """
suite: tiny
question: Does anything help?
seeds: 2
grid:
  dataset: {digits: {size: 8}}
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: [none, ros, {thresholding: {base: none}}]
  model: {small-cnn: {width: 2}}
recipe: {iterations: 5, batch: 16}
metrics: [auc, accuracy, recall.per_class, groups]
exclude:
  - {when: {method: ros, seed: 1}, because: one is enough}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SUITE)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The store of the suite as it stands, run once for all that look at one."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(SUITE)
    command = [sys.executable, "-m", "benchmark", "run", "tiny.yaml", "--no-tracker", "--no-report"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return folder / "skewbench-results"


@pytest.fixture
def done(place, finished):
    """The place with the suite's results in it."""
    shutil.copytree(finished, place / "skewbench-results")
    return place


def skewbench(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_run_shows_a_table_and_writes_a_report(place, capsys):
    code, out, err = skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    assert code == 0
    assert "6 cells (5 new, 1 skipped), 3 trainings to do" in err
    assert "thresholding" in out
    assert "±" in out
    assert (place / "skewbench-results/reports/tiny/index.html").is_file()
    again, _, err = skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    assert again == 0
    assert "6 cells (5 done, 1 skipped), 0 trainings to do" in err


def test_plan_lists_cells_with_state_and_reason(place, capsys):
    code, out, _ = skewbench("plan", "tiny.yaml", "--json", capsys=capsys)
    plan = json.loads(out)
    assert code == 0
    assert plan["counts"] == {"new": 5, "skipped": 1}
    assert [c["reason"] for c in plan["cells"] if c["state"] == "skipped"] == ["exclude #1: one is enough"]
    assert plan["cells"][0]["imbalance.ratio"] == 5


def test_a_failed_cell_gives_exit_code_1_and_can_be_tried_again(place, capsys):
    bad = ("tiny.yaml", "--no-tracker", "--no-report", "--set", "recipe.optimizer.lr=1e30", "--only", "method=none")
    code, _, err = skewbench("run", *bad, capsys=capsys)
    assert code == 1
    assert "not-finite" in err
    code, _, err = skewbench("run", *bad, capsys=capsys)
    assert (code, "0 trainings to do" in err) == (1, True)
    code, _, err = skewbench("run", *bad, "--retry", "failed:not-finite", capsys=capsys)
    assert (code, "2 trainings to do" in err) == (1, True)
    assert "tiny: 2 failures to try again" in err
    code, _, err = skewbench("run", *bad, "--retry", "failed:nonfinite", capsys=capsys)
    assert (code, "only as: not-finite" in err) == (2, True)


def test_a_retry_where_nothing_has_failed_is_no_mistake(done, capsys):
    code, _, err = skewbench("run", "tiny.yaml", "--no-tracker", "--no-report", "--retry", "failed:not-finite", capsys=capsys)
    assert (code, "tiny: 0 failures to try again" in err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "tinny.yaml"), "tinny"),
        (("run", "tiny.yaml", "--device", "gpu"), "unknown device 'gpu'"),
        (("run", "tiny.yaml", "--retry", "done"), "expected failed or failed:KIND"),
        (("plan", "tiny.yaml", "--only", "metod=ros"), "method"),
        (("plan", "tiny.yaml", "--set", "recipe.iteratons=5"), "iterations"),
        (("explain", "tiny.yaml", "zzz"), "no cell of 'tiny' begins with 'zzz'"),
        (("show", "tresholding"), "Did you mean 'thresholding'?"),
        (("list", "metods"), "metods"),
        (("check", "nowhere.py"), "nowhere.py"),
        (("sync",), "SUITE"),
    ],
)
def test_wrong_input_gives_exit_code_2_and_says_what_to_do(place, capsys, arguments, message):
    code, _, err = skewbench(*arguments, capsys=capsys)
    assert code == 2, err
    assert message in err
    assert "Traceback" not in err


def test_explain_names_the_field_that_differs(done, capsys):
    longer = ("tiny.yaml", "--set", "recipe.iterations=6")
    _, out, _ = skewbench("plan", *longer, "--json", capsys=capsys)
    cell = json.loads(out)["cells"][0]["cell"]
    code, out, _ = skewbench("explain", longer[0], cell[:12], *longer[1:], capsys=capsys)
    assert code == 0
    assert "state    new" in out
    assert "recipe.iterations: recorded 5, now 6" in out


def test_another_spelling_of_the_same_suite_runs_nothing(done, capsys):
    """Keys in another order, defaults spelled out, numbers written otherwise, a comment."""
    Path("tiny.yaml").write_text("""# the same again
metrics: [auc, accuracy, recall.per_class, groups]
recipe: {batch: 16.0, iterations: 5, schedule: {constant: {}}, optimizer: {sgd: {nesterov: false, lr: 1e-2}}, l1: 0}
exclude:
  - {because: one is enough, when: {seed: 1, method: ros}}
grid:
  model: {small-cnn: {dropout: 0, width: 2}}
  method: [none, {ros: {ratio: 1}}, {thresholding: {}}]
  imbalance: {step: {minority: 5e-1, ratio: 5.0, classes: lowest}}
  dataset: {digits: {validation: 0, size: 8}}
seeds: [0, 1]
suite: tiny
""")
    code, _, err = skewbench("run", "tiny.yaml", "--no-tracker", "--no-report", capsys=capsys)
    assert (code, "6 cells (5 done, 1 skipped), 0 trainings to do" in err) == (0, True)


def test_show_and_list_teach(capsys):
    code, out, _ = skewbench("show", "step", "--json", capsys=capsys)
    assert code == 0
    assert {entry["kind"] for entry in json.loads(out)} == {"imbalances", "schedules"}
    _, out, _ = skewbench("show", "methods/ros", capsys=capsys)
    assert "Buda" in out
    assert "≥ 1" in out
    _, out, _ = skewbench("list", "--json", capsys=capsys)
    listed = json.loads(out)
    assert "quickstart" in listed["suites"]
    assert all(text for kind in listed.values() for text in kind.values())


def test_validate_looks_at_no_data(place, capsys, monkeypatch):
    Path("far.yaml").write_text(
        SUITE.replace("{digits: {size: 8}}", "{image-folder: {root: /nowhere/at/all, size: 8}}").replace("tiny", "far")
    )
    code, out, _ = skewbench("validate", "far.yaml", capsys=capsys)
    assert (code, "6 cells" in out) == (0, True)
    code, _, err = skewbench("plan", "far.yaml", capsys=capsys)
    assert (code, "/nowhere/at/all" in err) == (2, True)


@pytest.mark.parametrize("words", ["plan", "report --json", "report --out elsewhere", "explain", "validate", "list", "show ros", "sync"])
def test_looking_makes_no_store(place, capsys, words):
    verb, *options = words.split()
    if verb == "explain":
        _, out, _ = skewbench("plan", "tiny.yaml", "--json", capsys=capsys)
        options = [json.loads(out)["cells"][0]["cell"]]
    suite = [] if verb in ("list", "show") else ["tiny.yaml"]
    code, out, _ = skewbench(verb, *suite, *options, capsys=capsys)
    assert (code, bool(out)) == (0, True)
    assert not (place / "skewbench-results").exists()


def test_a_report_of_nothing_says_so(place, capsys):
    code, out, _ = skewbench("report", "tiny.yaml", capsys=capsys)
    assert code == 0
    assert "Nothing of this selection has run yet" in Path(out.strip()).read_text()


def test_a_report_on_a_part_is_not_taken_for_the_whole(done, capsys):
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    page = done / "skewbench-results/reports/tiny/index.html"
    whole, written = page.read_text(), page.stat().st_mtime_ns
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    assert page.stat().st_mtime_ns == written  # nothing has changed: not written again
    skewbench("report", "tiny.yaml", "--only", "method=none", "--out", str(page.parent), capsys=capsys)
    assert page.read_text() != whole
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    assert page.read_text() == whole


def test_a_report_by_another_version_is_written_anew(done, capsys, monkeypatch):
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    page = done / "skewbench-results/reports/tiny/index.html"
    written = page.stat().st_mtime_ns
    monkeypatch.setattr("benchmark.__version__", "0.0.1")
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    assert page.stat().st_mtime_ns > written


def test_json_holds_no_nan(capsys):
    results = factory.results(change=lambda cell: replace(cell, metrics={"auc": math.nan, "error": 0.5}, curve=((1, math.inf),)))
    print_json(results)
    cell = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["cells"][0]
    assert (cell["metrics"], cell["curve"]) == ({"auc": None, "error": 0.5}, [[1, None]])


def test_validate_and_sync_speak_json(place, capsys):
    _, out, _ = skewbench("validate", "tiny.yaml", "--json", capsys=capsys)
    assert json.loads(out) == {"suite": "tiny", "cells": 6}
    _, out, _ = skewbench("sync", "tiny.yaml", "--json", capsys=capsys)
    assert json.loads(out) == {"written": 0, "already_there": 0, "uri": f"sqlite:///{place}/skewbench-results/mlflow.db"}


def test_check_speaks_json(place):
    Path("mine.py").write_text(
        "from benchmark.methods import Method\nfrom benchmark.registry import plugin\n"
        "@plugin('stepless')\nclass Stepless(Method):\n    'Nothing.'\n"
    )
    command = [sys.executable, "-m", "benchmark", "check", "mine.py", "--json"]  # a process of its own: a registration stays
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, check=False)
    (problems,) = json.loads(done.stdout).values()
    assert (done.returncode, bool(problems)) == (1, True)


def test_a_store_is_named_wherever_it_would_not_be_meant(monkeypatch):
    def choice(store: str) -> Choice:
        return Choice("tiny", (), (), None, Path(store), (), False)

    monkeypatch.setenv("SKEWBENCH_STORE", "/other")
    assert choice("skewbench-results").process("sync")[-2:] == ["--store", "skewbench-results"]
    assert choice("skewbench-results").command("run") == "skewbench run tiny --store skewbench-results"
    assert choice("/other").command("run") == "skewbench run tiny"
    assert tracker_place(Path("my results")) == "skewbench ui --store 'my results'"
    monkeypatch.delenv("SKEWBENCH_STORE")
    assert choice("skewbench-results").command("run") == "skewbench run tiny"


def test_a_finished_suite_shows_its_results_though_the_tracker_is_in_trouble(done, capsys):
    with closing(sqlite3.connect(done / "skewbench-results/tracker.db")) as connection:
        connection.execute("CREATE TABLE mirrored (something_else TEXT)")
    code, out, err = skewbench("run", "tiny.yaml", "--no-report", capsys=capsys)
    assert (code, "±" in out, "warning" in err) == (0, True, True)


def test_the_follower_rests_ten_times_as_long_as_it_works():
    program = (
        "import time; from itertools import count; from types import SimpleNamespace as some; from benchmark.cli import following\n"
        "following.FOLLOW_SECONDS = 0.05; following._Curves = lambda _: some(prepare=list, write=list, close=list)\n"
        "sync = lambda session: (time.sleep(0.2), print('synced', flush=True))\n"
        "numbers = count(1); ledger = some(seq=lambda name: next(numbers))\n"
        "following.follow(some(ledger=ledger, suite=some(name='tiny')), sync)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1)
        process.stdin.close()
        assert process.stdout.read() == "synced\n"  # the last one, when the suite has ended
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_goes_on_later(place, capsys, number):
    command = [
        sys.executable,
        "-m",
        "benchmark",
        "run",
        "tiny.yaml",
        "--no-tracker",
        "--exec",
        "fixed",
        "--set",
        "recipe.iterations=100000",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=place, env=dict(os.environ)) as process:
        assert process.stderr is not None
        assert "trainings to do" in process.stderr.readline()
        time.sleep(6)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "issue the same command again" in err
    assert "Traceback" not in err
    code, _, _ = skewbench("run", "tiny.yaml", "--no-tracker", "--no-report", capsys=capsys)
    assert code == 0


@pytest.mark.slow
def test_a_finished_suite_is_reissued_in_under_three_seconds_of_work(done, capsys):
    """Not a timing: what costs time is importing torch, MLflow or matplotlib, and none of them may be imported."""
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    script = "import sys; from benchmark.cli import main\ntry: main(['run', 'tiny.yaml', '--no-tracker'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=done, check=True)
    assert not {"torch", "mlflow", "matplotlib", "sklearn", "pandas", "scipy.special", "optuna"} & set(done.stdout.split())


def test_a_part_of_a_suite_has_a_report_of_its_own(done, capsys):
    skewbench("run", "tiny.yaml", "--no-tracker", capsys=capsys)
    whole = done / "skewbench-results/reports/tiny/index.html"
    before = whole.read_bytes()
    code, out, _ = skewbench("run", "tiny.yaml", "--no-tracker", "--only", "method=none", capsys=capsys)
    assert code == 0
    (part,) = whole.parent.parent.glob("tiny+*/index.html")
    assert str(part.relative_to(done)) in out
    assert whole.read_bytes() == before


def test_a_narrow_terminal_drops_metrics_and_never_names(done, capsys, monkeypatch):
    monkeypatch.setattr("benchmark.cli.console._width", lambda: 60)
    _, out, _ = skewbench("run", "tiny.yaml", "--no-tracker", "--no-report", capsys=capsys)
    assert "thresholding(none)" in out
    assert "auc" in out
    assert "recall" not in out
    _, out, _ = skewbench("list", "methods", capsys=capsys)
    assert "class-weights" in out


def test_a_suite_with_claims_says_how_they_fared(place, capsys):
    claim = "{id: A, says: it is so, metric: auc, compare: {a: {method: ros}, b: {method: none}}, expect: a > b}"
    later = "{id: B, says: later, not_tested: needs a GPU}"
    (place / "claims.yaml").write_text((place / "tiny.yaml").read_text() + f"claims:\n  - {claim}\n  - {later}\n")
    code, out, _ = skewbench("run", "claims.yaml", "--no-tracker", "--no-report", capsys=capsys)
    assert code == 0
    assert "Claims:  1 inconclusive, 1 not tested" in out
