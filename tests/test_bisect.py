"""Bisection on real git histories: the loop with a known truth, environments by their dependencies, and once from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gate_factory import skewbench

from benchmark import registry
from benchmark.errors import UserError
from benchmark.gate.bisect import bisect, range_size
from benchmark.gate.environments import EnvironmentFailed, Environments, build_with_pip, lock_text
from benchmark.gate.verdict import GateVerdict
from benchmark.gate.worktree import Worktree, commit, git, top_level

AUTHOR = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))}


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    for name, value in AUTHOR.items():
        monkeypatch.setenv(name, value)
    top = tmp_path / "repository"
    top.mkdir()
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


def commit_files(top: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        path = top / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(top, "add", "-A")
    git(top, "commit", "-q", "--allow-empty", "-m", subject)
    return git(top, "rev-parse", "HEAD").strip()


def history(top: Path, number: int) -> list[str]:
    return [commit_files(top, f"change {index}", value_dot_txt=str(index)) for index in range(number)]


def judge_by(worktree: Worktree, outcome_of):
    """A gate whose answer follows from the file `value.txt` as the revision has it."""

    def judge(at) -> GateVerdict:
        value = int((worktree.folder / "value.txt").read_text())
        return GateVerdict("s", "good", outcome_of(value), f"value {value}", {}, (), commit_after=at.id)

    return judge


@pytest.mark.parametrize("first_bad", [1, 4, 9])
def test_the_first_bad_commit_is_found_in_few_tests(repository, tmp_path, first_bad):
    commits = history(repository, 10)
    with Worktree(repository, tmp_path / "tree") as tree:
        told = []
        judge = judge_by(tree, lambda value: "regressed" if value >= first_bad else "ok")
        found = bisect(tree, commits[0], commits[-1], judge, told.append)
        assert range_size(tree, commits[0], commits[-1]) == 9
    assert found.first_bad.id == commits[first_bad]
    assert found.first_bad.subject == f"change {first_bad}"
    assert found.verdict.summary == f"value {first_bad}"
    assert len(told) == len(found.tested) <= 5
    assert not (tmp_path / "tree").exists()
    assert git(repository, "worktree", "list").count("\n") == 1
    assert (repository / "value.txt").read_text() == "9"
    assert git(repository, "status", "--short") == ""


def test_what_cannot_be_judged_is_skipped_and_leaves_candidates(repository, tmp_path):
    commits = history(repository, 6)
    with Worktree(repository, tmp_path / "tree") as tree:
        judge = judge_by(tree, lambda value: "not measured" if value in (2, 3) else "regressed" if value >= 4 else "ok")
        found = bisect(tree, commits[0], commits[-1], judge, lambda _: None)
    assert found.first_bad is None
    assert {each.id for each in found.candidates} == set(commits[2:5])


def test_nothing_to_find_is_said(repository, tmp_path):
    commits = history(repository, 3)
    with Worktree(repository, tmp_path / "tree") as tree:
        judge = judge_by(tree, lambda _: "ok")
        with pytest.raises(UserError, match="nothing to bisect: .* the cell is not worse than"):
            bisect(tree, commits[0], commits[-1], judge, lambda _: None)
        unsure = judge_by(tree, lambda _: "inconclusive")
        with pytest.raises(UserError, match="nothing to bisect: .* the cell is not known to be worse than"):
            bisect(tree, commits[0], commits[-1], unsure, lambda _: None)
        with pytest.raises(UserError, match="is not before"):
            bisect(tree, commits[-1], commits[0], judge, lambda _: None)
        with pytest.raises(UserError, match="git log"):
            bisect(tree, "nothing", commits[0], judge, lambda _: None)


def test_a_warning_of_git_is_no_part_of_its_answer(repository, tmp_path):
    commits = history(repository, 3)
    git(repository, "branch", "old", commits[1])
    git(repository, "tag", "old", commits[0])  # `refname 'old' is ambiguous`
    with Worktree(repository, tmp_path / "tree") as tree:
        assert range_size(tree, "old", commits[2]) == 2
    assert commit(repository, "old").id == commits[0]
    assert commit(repository, "old").date.count("-") == 2


def test_a_folder_outside_of_git_is_said(tmp_path):
    with pytest.raises(UserError, match="not a git repository"):
        top_level(tmp_path)


def test_hooks_of_the_repository_do_not_run(repository, tmp_path):
    commits = history(repository, 2)
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with Worktree(repository, tmp_path / "tree") as tree:
        tree.check_out(commits[0])
        assert tree.head() == commit(repository, commits[0])
    assert not (tmp_path / "ran").exists()


# -- environments


def test_an_environment_is_built_where_the_dependencies_differ_and_only_there(tmp_path):
    now, old, same = (tmp_path / name for name in ("now", "old", "same"))
    for folder, text in ((now, "numpy==2.0\n"), (old, "numpy==1.0\n"), (same, "numpy==2.0\n")):
        folder.mkdir()
        (folder / "requirements.txt").write_text(text)
        (folder / "code.py").write_text(f"# {folder}\n")
    built = []

    def build(checkout: Path, target: Path) -> None:
        built.append(checkout)
        target.mkdir(parents=True)

    environments = Environments(now, tmp_path / "environments", build)
    assert environments.python(same) == (Path(sys.executable), True)
    python, is_ours = environments.python(old)
    assert (is_ours, python.name, python.parent.parent.parent) == (False, "python", tmp_path / "environments")
    assert environments.python(old)[0] == python  # kept
    assert built == [old]


def test_dependencies_are_read_from_pyproject_and_from_lock_files(tmp_path):
    assert lock_text(tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\nrequires-python = ">=3.11"\ndependencies = ["a>=1"]\n[tool.x]\ny = 1\n'
    )
    before = lock_text(tmp_path)
    assert "a>=1" in before
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "z"\nrequires-python = ">=3.11"\ndependencies = ["a>=1"]\n')
    assert lock_text(tmp_path) == before  # what installs nothing does not count
    (tmp_path / "uv.lock").write_text("a 1\n")
    assert lock_text(tmp_path) != before
    (tmp_path / "pyproject.toml").write_text("[")
    with pytest.raises(EnvironmentFailed, match="cannot be read"):
        lock_text(tmp_path)


def test_pip_that_refuses_is_told(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("no-such-thing-anywhere==1\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    calls = []
    real = subprocess.run

    def run(command, **options):  # `python -m venv` takes seconds: pip of this interpreter answers as well
        calls.append(command)
        if command[1:3] == ["-m", "venv"]:
            return subprocess.CompletedProcess(command, 0)
        return real([sys.executable, *command[1:], "--dry-run"], **options)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(EnvironmentFailed, match="no-such-thing-anywhere"):
        build_with_pip(tmp_path, tmp_path / "venv")
    assert calls[0] == [sys.executable, "-m", "venv", "--clear", str(tmp_path / "venv")]
    assert calls[1][-2:] == ["-r", str(tmp_path / "requirements.txt")]


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock", "pylock.toml"])
def test_versions_that_pip_cannot_take_from_a_lock_file_are_not_guessed(tmp_path, monkeypatch, lock):
    (tmp_path / lock).write_text("# versions\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["numpy"]\n')
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command) or subprocess.CompletedProcess(command, 0))
    with pytest.raises(EnvironmentFailed, match=f"cannot install from {lock}"):
        build_with_pip(tmp_path, tmp_path / "venv")
    assert calls == []
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    build_with_pip(tmp_path, tmp_path / "venv")
    assert calls[1][-2:] == ["-r", str(tmp_path / "requirements.lock")]


# -- from end to end

SUITE = """
suite: tiny
question: Does it help?
seeds: 1
grid:
  dataset: {digits: {size: 8}}
  imbalance: {step: {ratio: 5, minority: 0.5}}
  method: shifting
  model: {small-cnn: {width: 2}}
recipe: {iterations: 80, batch: 32, optimizer: {sgd: {lr: 0.1}}}
metrics: [auc, accuracy]
"""
PLUGIN = '''
"""A method of a user's own."""

import torch
from torch.nn.functional import cross_entropy

from benchmark.methods import Method, Train
from benchmark.registry import plugin


@plugin("shifting")
class Shifting(Method):
    """Logit-adjusted cross-entropy."""

    def steps(self, problem):
        return (Train(by=self, own_loss=True),)

    def loss(self, problem):
        shift = SIGN * torch.tensor(problem.class_counts, dtype=torch.float32).log()
        return lambda logits, labels: cross_entropy(logits + shift, labels)
'''


@pytest.mark.slow
def test_a_plug_in_that_a_commit_made_worse_is_found(repository, monkeypatch, request):
    """Three commits; the gate runs the cell as each tested revision has it, in a process of its own."""
    monkeypatch.chdir(repository)
    monkeypatch.setitem(registry._known, "methods", dict(registry._load("methods")))  # a registration stays, in this process
    registry._load.cache_clear()
    request.addfinalizer(registry._load.cache_clear)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    good, worse = PLUGIN.replace("SIGN", "1.0"), PLUGIN.replace("SIGN", "-40.0")
    first = commit_files(repository, "begin", tiny_dot_yaml=SUITE, plugins__shifting_dot_py=good)
    guilty = commit_files(repository, "tidy up", plugins__shifting_dot_py=worse)
    commit_files(repository, "more words", note_dot_txt="2")
    code, out, err = skewbench("plan", "tiny.yaml", "--plugins", "plugins", "--json")
    assert code == 0, err
    (cell,) = (each["cell"] for each in json.loads(out)["cells"])
    place = ("--workers", "0", "--exec", "fixed", "--plugins", "plugins")
    code, out, err = skewbench("bisect", "tiny.yaml", cell[:12], "--good", first, *place, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["first_bad"]["id"], found["first_bad"]["subject"]) == (guilty, "tidy up")
    assert [each["name"] for each in found["verdict"]["changes"] if each["kind"] == "code"] == ["methods:shifting"]
    assert (found["tested"][0]["mark"], len(found["tested"])) == ("bad", 2)
    assert not list(Path("skewbench-results").glob("bisect-*"))
    assert git(repository, "worktree", "list").count("\n") == 1
