"""Schedules from the command line, from adding a job to what runs it, and their native equivalents, read by the tools that take them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_cli import SUITE, skewbench

from benchmark import registry
from benchmark.cli import schedule
from benchmark.errors import UserError
from benchmark.jobs import scheduler, work
from benchmark.jobs.export import exported
from benchmark.jobs.table import Job, Table

ROOT = Path(__file__).parent.parent
HOSTILE = 'it\'s a "b" $HOME %i `c` ; rm -rf \\ ${{ secrets.X }} ü'
PLUGIN = '''
"""A method of a user's own."""

from benchmark.methods import Method, Train
from benchmark.registry import plugin


@plugin("of-the-schedule")
class Mine(Method):
    """Plain training."""

    def steps(self, problem):
        return (Train(by=self),)
'''
QUIET = ("--no-tracker", "--no-report", "--workers", "1")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SUITE)
    return tmp_path


def add(capsys, *options: str, cron: str = "0 3 * * *"):
    return skewbench("schedule", "add", "tiny.yaml", "--cron", cron, "--timezone", "UTC", *options, capsys=capsys)


def test_a_job_is_added_listed_and_removed(place, capsys):
    code, out, _ = add(capsys, "--seeds", "1", "--webhook", "https://hooks.example/s3cret")
    assert code == 0
    assert out.startswith("tiny: next at 20")
    _, out, _ = skewbench("schedule", "list", "--json", capsys=capsys)
    (entry,) = json.loads(out)
    assert (entry["suite"], entry["arguments"], entry["folder"]) == (str(place / "tiny.yaml"), ["--seeds", "1"], str(place))
    assert entry["next"] > time.time()
    assert "s3cret" not in out
    _, out, _ = skewbench("schedule", "list", capsys=capsys)
    assert "0 3 * * *" in out
    assert "s3cret" not in out
    code, _, _ = skewbench("schedule", "remove", "tiny", capsys=capsys)
    assert code == 0
    code, _, err = skewbench("schedule", "remove", "tiny", capsys=capsys)
    assert code == 2
    assert "unknown job 'tiny'" in err


def test_next_shows_the_runs_of_all_jobs_in_order(place, capsys):
    add(capsys)
    add(capsys, "--name", "often", cron="0 */6 * * *")
    _, out, _ = skewbench("schedule", "next", "-n", "6", "--json", capsys=capsys)
    found = json.loads(out)
    assert [entry["at"] for entry in found] == sorted(entry["at"] for entry in found)
    assert [entry["job"] for entry in found].count("tiny") == 1
    _, out, _ = skewbench("schedule", "next", "-n", "6", capsys=capsys)
    assert out.count("often") == 5


@pytest.mark.parametrize(
    ("options", "cron", "words"),
    [
        ((), "0 25 * * *", "the hour of a cron line"),
        (("--seeds", "none"), "@daily", "--seeds"),
        (("--sneeds", "2"), "@daily", "No such option"),
        (("--webhook", "s3cret"), "@daily", "webhook's address is none"),
        (("--name", "Ä"), "@daily", "cannot name a job"),
    ],
)
def test_a_mistake_is_found_when_the_job_is_added(place, capsys, options, cron, words):
    code, _, err = add(capsys, *options, cron=cron)
    assert code == 2
    assert words in err
    assert "s3cret" not in err
    assert Table(place / "skewbench-results").jobs() == {}


def test_an_unknown_time_zone_is_refused(place, capsys):
    code, _, err = skewbench("schedule", "add", "tiny.yaml", "--cron", "@daily", "--timezone", "Mars/Base", capsys=capsys)
    assert code == 2
    assert "unknown time zone 'Mars/Base'" in err


@pytest.mark.slow
def test_a_job_is_run_by_hand_and_what_came_of_it_is_kept(place, capsys):
    add(capsys, *QUIET, "--only", "method=none", "--junit", "j.xml", "--summary", "s.md")
    code, out, _ = skewbench("schedule", "run", "tiny", capsys=capsys)
    assert code == 0, out
    assert "tiny: digits" in out
    assert Path("s.md").read_text().startswith("## ✅ tiny: ok")
    assert Path("j.xml").exists()
    ran = Table(place / "skewbench-results").state("tiny").last
    assert (ran.code, ran.due) == (0, 0.0)
    _, out, _ = skewbench("history", "tiny.yaml", "--cell", "none", "--json", capsys=capsys)
    series = {entry["metric"]: entry for entry in json.loads(out)}
    assert set(series) == {"auc", "time", "memory"}
    assert [moment["num"] for moment in series["auc"]["moments"]] == [2]
    _, out, _ = skewbench("history", "tiny.yaml", capsys=capsys)
    assert "auc" in out
    assert "▄" in out


def scripted(monkeypatch, text: str) -> None:
    monkeypatch.setattr(work, "command", lambda job, store: [sys.executable, "-c", text, str(store)])


def test_a_relative_store_is_the_same_where_the_job_runs(place, capsys, monkeypatch):
    (place / "elsewhere").mkdir()
    Table(Path("rel")).add(job(name="x", folder=str(place / "elsewhere"), suite="smoke", webhook=""))
    scripted(monkeypatch, "import pathlib, sys; print(pathlib.Path.cwd().name, (pathlib.Path(sys.argv[1]) / 'schedule').is_dir())")
    code, out, err = skewbench("schedule", "run", "x", "--store", "rel", capsys=capsys)
    assert (code, out) == (0, "elsewhere True\n"), err


def told(monkeypatch) -> list[tuple[str, str]]:
    """What is sent where."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(schedule, "send", lambda document, hook, *, store: found.append((document["outcome"], hook)))
    return found


@pytest.mark.parametrize(
    ("text", "variable", "hook", "sent"),
    [
        ("raise SystemExit(1)", "", "https://h/job", "https://h/job"),
        ("raise OSError('no space left on device')", "https://h/all", "", "https://h/all"),
        ("import os; os.kill(os.getpid(), 9)", "https://h/all", "https://h/job", "https://h/job"),
        ("print('fine')", "", "https://h/job", None),
    ],
)
def test_a_run_that_ended_before_it_told_its_result_is_told_of(place, capsys, monkeypatch, text, variable, hook, sent):
    monkeypatch.setenv("SKEWBENCH_WEBHOOK", variable)
    found = told(monkeypatch)
    Table(place / "skewbench-results").add(job(name="x", folder=str(place), suite="smoke", webhook=hook))
    scripted(monkeypatch, text)
    skewbench("schedule", "run", "x", capsys=capsys)
    assert [to for _, to in found] == ([sent] if sent else [])


@pytest.mark.parametrize("code", [1, 3])
def test_a_run_that_told_its_result_is_not_told_of_again(place, capsys, monkeypatch, code):
    found = told(monkeypatch)
    Table(place / "skewbench-results").add(job(name="x", folder=str(place), suite="smoke"))
    scripted(
        monkeypatch,
        f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from test_outputs import document
from benchmark.cli.outputs import Outputs, deliver
deliver(document(), Outputs(), store=Path(sys.argv[1]), tracker=False)
sys.exit({code})""",
    )
    assert skewbench("schedule", "run", "x", capsys=capsys)[0] == code
    assert found == []
    assert not list((place / "skewbench-results/schedule/logs").glob("*.delivered"))


def test_a_run_by_hand_is_refused_while_another_one_is_at_work_or_waits_for_its_end(place, capsys, monkeypatch):
    Table(place / "skewbench-results").add(job(name="x", folder=str(place), suite="smoke", webhook=""))
    scripted(monkeypatch, "print('done')")
    held, free = threading.Event(), threading.Event()

    def other() -> None:
        with work.machine():
            held.set()
            free.wait(20)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(other)
        assert held.wait(20)
        code, _, err = skewbench("schedule", "run", "x", capsys=capsys)
        assert (code, "another scheduled run is at work" in err) == (2, True)
        threading.Timer(0.1, free.set).start()
        code, out, _ = skewbench("schedule", "run", "x", "--wait", capsys=capsys)
    assert (code, out) == (0, "done\n")


def test_what_went_wrong_in_a_run_by_hand_is_said(place, capsys, monkeypatch):
    def breaks(*_):
        raise UserError("the disk is full")

    monkeypatch.setattr(scheduler, "log_file", breaks)
    Table(place / "skewbench-results").add(job(name="x", folder=str(place), suite="smoke"))
    code, _, err = skewbench("schedule", "run", "x", capsys=capsys)
    assert code == 2
    assert "the disk is full" in err


@pytest.fixture
def plugins(place, monkeypatch) -> Iterator[tuple[str, str]]:
    """The option of a folder with the method that `tiny.yaml` asks for; forgotten when the test ends."""
    monkeypatch.setitem(registry._known, "methods", dict(registry._load("methods")))
    registry._load.cache_clear()
    Path("plugins").mkdir()
    Path("plugins/mine.py").write_text(PLUGIN)
    Path("tiny.yaml").write_text(SUITE.replace("method: [none, ros, ", "method: [none, ros, of-the-schedule, "))
    yield "--plugins", "plugins"
    registry._load.cache_clear()


def test_the_history_of_a_suite_with_plug_ins_of_ones_own_is_shown(place, capsys, plugins):
    code, _, err = skewbench("history", "tiny.yaml", *plugins, capsys=capsys)
    assert (code, "there is no store" in err) == (2, True), err


def test_a_suite_with_plug_ins_of_ones_own_is_scheduled(place, capsys, plugins):
    code, _, err = add(capsys, *plugins, "--seeds", "1")
    assert code == 0, err
    (found,) = Table(place / "skewbench-results").jobs().values()
    assert (found.name, found.arguments) == ("tiny", (*plugins, "--seeds", "1"))


def test_what_history_does_not_know_it_says(place, capsys):
    code, _, err = skewbench("history", "tiny.yaml", capsys=capsys)
    assert code == 2
    assert "there is no store" in err


@pytest.mark.slow
def test_serve_runs_what_was_missed_and_ends_in_good_order(place, capsys):
    add(capsys, *QUIET, "--set", "recipe.iterations=0")  # a run that ends at once, with exit code 2
    table = Table(place / "skewbench-results")
    table.update("tiny", lambda state: state.__class__(seen=0.0))
    entries = json.loads(table.file.read_text())
    entries["jobs"]["tiny"]["job"]["added"] = 0.0
    table.file.write_text(json.dumps(entries))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmark", "schedule", "serve"], stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        deadline = time.monotonic() + 120
        while not table.state("tiny").ran:
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert "1 jobs in" in err
    assert table.state("tiny").last.code == 2


def job(**changes: object) -> Job:
    """A job whose texts are as bad as can be."""
    plain = {"name": "n", "suite": f"/x/{HOSTILE}.yaml", "cron": "*/15 3 1,15 * mon", "timezone": "UTC", "folder": f"/x/{HOSTILE}",
             "added": 0.0, "arguments": ("--only", HOSTILE), "webhook": "https://h/s3cret"}  # fmt: skip
    return Job(**{**plain, **changes})


def test_a_cron_line_is_one_line_that_a_shell_reads_as_meant(tmp_path):
    (text,) = exported(job(), tmp_path / HOSTILE, "cron").values()
    comment, line, *rest = text.splitlines()
    assert comment.startswith("# ")
    assert not rest
    fields, command = line.split(" cd ", 1)
    assert fields == "*/15 3 1,15 * mon"
    assert "%" not in command.replace(r"\%", "")
    words = shlex.split("cd " + command.replace(r"\%", "%"))
    assert words[1] == f"/x/{HOSTILE}"
    assert words[-5:] == ["run", "n", "--wait", "--store", str(tmp_path / HOSTILE)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("name", ["plain", HOSTILE])
def test_systemd_takes_the_units(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for file, text in exported(job(folder=str(folder)), folder, "systemd").items():
        (tmp_path / file).write_text(text)
    units = [str(tmp_path / f"skewbench-n.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_has_each_word_quoted_and_no_specifier_left(tmp_path):
    text = exported(job(), Path('/s $X %h "q" \\'), "systemd")["skewbench-n.service"]
    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert start.endswith(r'"--store" "/s $$X %%h \"q\" \\"')
    assert "Persistent=true" in exported(job(), tmp_path, "systemd")["skewbench-n.timer"]


CHECKER = Path(sys.executable).with_name("check-jsonschema")


@pytest.mark.skipif(not CHECKER.exists(), reason="check-jsonschema is not here")
@pytest.mark.parametrize("gate", [False, True])
def test_github_takes_the_workflow_and_ours(tmp_path, gate):
    for file, text in exported(job(gate=gate), tmp_path, "github-actions").items():
        (tmp_path / file).write_text(text)
    files = [str(tmp_path / "skewbench-n.yml"), str(ROOT / ".github/workflows/regression.yml")]
    command = [str(CHECKER), "--builtin-schema", "vendor.github-workflows", *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_workflow_of_a_check_makes_the_baseline_that_it_compares_with(tmp_path):
    import yaml

    options = ("--set", "recipe.iterations=5", "--quality", "1pp", "--only=seed=0", "--yes", "--plugins", "own")
    given = job(gate=True, suite="smoke", folder="/x", arguments=options, against="night")
    (text,) = exported(given, tmp_path, "github-actions").values()
    steps = {step["name"]: step for step in yaml.safe_load(text)["jobs"]["check"]["steps"] if "name" in step}
    cells = "--set recipe.iterations=5 --only=seed=0 --yes --plugins own"
    assert steps["Accept on the default branch"]["run"].splitlines() == [
        f"skewbench run smoke --no-tracker --no-report {cells}",
        f"skewbench baseline accept smoke --name night --timings 0 --no-tracker {cells}",
    ]
    assert "steps.check.outputs.accept == 'yes'" in steps["Accept on the default branch"]["if"]
    assert [outcome(tmp_path, steps["Check"]["run"], gate, show) for gate, show in ((0, 0), (2, 2), (2, 0), (3, 0), (4, 0))] == [
        (0, True), (0, True), (2, False), (3, False), (0, False)
    ]  # fmt: skip


def outcome(folder: Path, script: str, gate: int, show: int) -> tuple[int, bool]:
    """How a step ends, and whether it lets the results be accepted, where `skewbench gate` and `baseline show` end with these codes."""
    (folder / "skewbench").write_text(f"#!/bin/sh\n[ $1 = gate ] && exit {gate}\nexit {show}\n")
    (folder / "skewbench").chmod(0o755)
    output = folder / "output"
    output.write_text("")
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(output)}
    done = subprocess.run(["bash", "-e", "-c", script], env=environment, capture_output=True)
    return done.returncode, output.read_text() == "accept=yes\n"


def test_a_workflow_evaluates_nothing_that_a_name_holds(tmp_path):
    import yaml

    (text,) = exported(job(folder="/x"), tmp_path, "github-actions").values()
    (check,) = [step["run"] for step in yaml.safe_load(text)["jobs"]["check"]["steps"] if step.get("name") == "Check"]
    evaluated = check.replace("${{ '${{' }}", "${{")
    assert check.count("${{") == 2 * check.count("${{ '${{' }}")
    assert shlex.split(evaluated)[:3] == ["skewbench", "run", f"{HOSTILE}.yaml"]
    assert shlex.split(evaluated)[-1] == HOSTILE


@pytest.mark.parametrize("target", ["cron", "systemd", "github-actions"])
def test_no_secret_is_exported_and_no_line_break(tmp_path, target):
    assert "s3cret" not in "".join(exported(job(), tmp_path, target).values())
    with pytest.raises(UserError, match="cannot be printed"):
        exported(job(suite="a\nb", folder="/x\ny"), tmp_path, target)


def test_github_goes_by_utc(tmp_path):
    with pytest.raises(UserError, match="--timezone UTC"):
        exported(job(timezone="Europe/Berlin"), tmp_path, "github-actions")


def test_export_writes_files(place, capsys):
    add(capsys)
    _, out, _ = skewbench("schedule", "export", "--to", "systemd", "--out", "units", capsys=capsys)
    assert sorted(path.name for path in Path("units").iterdir()) == ["skewbench-tiny.service", "skewbench-tiny.timer"]
    assert out.split() == ["units/skewbench-tiny.service", "units/skewbench-tiny.timer"]
    _, out, _ = skewbench("schedule", "export", "tiny", "--to", "cron", capsys=capsys)
    assert "\n0 3 * * * cd " in out
