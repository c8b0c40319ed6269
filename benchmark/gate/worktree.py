"""Git for bisection: a worktree of its own, so that the user's files and branch are never touched, and `git bisect` in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from benchmark.errors import UserError

Mark = Literal["good", "bad", "skip"]
_FIRST = re.compile(r"^([0-9a-f]{7,64}) is the first bad commit", re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    """One commit, as people name it."""

    id: str
    subject: str
    author: str
    date: str

    @property
    def words(self) -> str:
        return f"{self.id[:12]} {self.subject} ({self.author}, {self.date})"


@dataclass
class Worktree:
    """A second checkout of a repository at `folder`, gone when the context ends. `git bisect` keeps its state per worktree."""

    repository: Path
    folder: Path

    def __enter__(self) -> Worktree:
        git(self.repository, "worktree", "add", "--detach", "--force", str(self.folder), "HEAD")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)  # what `git worktree remove` refuses where files were added
        git(self.repository, "worktree", "prune")

    def check_out(self, commit: str) -> None:
        git(self.folder, "checkout", "--detach", "--force", commit)

    def begin(self, good: str, bad: str) -> str:
        """Start; what git says: the first commit to be tested is checked out, unless it has an answer already."""
        return git(self.folder, "bisect", "start", bad, good, with_errors=True)

    def mark(self, mark: Mark) -> str:
        """Say how the commit that is checked out is; what git answers."""
        answer = git(self.folder, "bisect", mark, may_fail=True, with_errors=True)  # git fails too where only skipped commits are left
        if not (answer.startswith("Bisecting:") or first_bad(answer) or only_skipped(answer)):
            raise UserError(f"git bisect {mark} in {self.folder}: {answer.strip()}")
        return answer

    def head(self) -> Commit:
        return commit(self.folder, "HEAD")


def first_bad(answer: str) -> str | None:
    """The commit that git found, if it has."""
    found = _FIRST.search(answer)
    return found[1] if found else None


def only_skipped(answer: str) -> list[str]:
    """The commits that git cannot tell apart, where only skipped ones are left; else none."""
    if "only 'skip'ped commits left" not in answer:
        return []
    return re.findall(r"^([0-9a-f]{40,64})$", answer, re.MULTILINE)


def top_level(folder: Path) -> Path:
    """The repository that a folder is in. UserError where it is in none."""
    return Path(git(folder, "rev-parse", "--show-toplevel").strip())


def commit(repository: Path, revision: str) -> Commit:
    """UserError where there is no such revision."""
    told = git(repository, "log", "-1", "--format=%H%x00%s%x00%an%x00%as", revision, "--")
    return Commit(*told.rstrip("\n").split("\x00"))


def is_ancestor(repository: Path, old: str, new: str) -> bool:
    done = subprocess.run(["git", "-C", str(repository), "merge-base", "--is-ancestor", old, new], capture_output=True)
    return done.returncode == 0


def git(folder: Path, *arguments: str, may_fail: bool = False, with_errors: bool = False) -> str:
    """Run git, without hooks, and give what it prints, its warnings only if asked to. UserError with its words where it refuses."""
    command = ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise UserError("bisection needs git, which is not installed here.") from None
    if done.returncode and not may_fail:
        raise UserError(f"git {' '.join(arguments[:2])} in {folder}: {(done.stderr or done.stdout).strip()}")
    return done.stdout + done.stderr * with_errors
