"""Which commit made a cell worse: `git bisect`, with the gate as its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.gate.verdict import GateVerdict
from benchmark.gate.worktree import Commit, Mark, Worktree, commit, first_bad, git, is_ancestor, only_skipped

MARKS: dict[str, Mark] = {"ok": "good", "regressed": "bad", "inconclusive": "skip", "not measured": "skip"}
"""What each outcome of the gate means for git: a revision that cannot be judged is skipped, never called bad."""


@dataclass(frozen=True)
class Tested:
    """One revision with its verdict against the good one."""

    commit: Commit
    mark: Mark
    verdict: GateVerdict


@dataclass(frozen=True)
class Found:
    """The end of a bisection: `first_bad`, or where skipped commits hide it, the `candidates`."""

    good: Commit
    bad: Commit
    tested: tuple[Tested, ...]
    first_bad: Commit | None
    candidates: tuple[Commit, ...] = ()

    @property
    def verdict(self) -> GateVerdict:
        """Of the first bad commit against the good one, else of the bad one."""
        of_first = [each for each in self.tested if self.first_bad and each.commit.id == self.first_bad.id]
        return (of_first or [each for each in self.tested if each.commit.id == self.bad.id])[-1].verdict


Judge = Callable[[Commit], GateVerdict]
"""Runs the cell as the revision that is checked out in the worktree has it, and compares it with the good one."""


def bisect(worktree: Worktree, good: str, bad: str, judge: Judge, told: Callable[[Tested], None]) -> Found:
    """Find the first commit between `good` and `bad` at which the gate says `regressed`; `told` hears of every verdict.

    UserError where `good` is no ancestor of `bad`, or where `bad` is not worse than `good`: then there is nothing to be found.
    """
    ends = [commit(worktree.repository, revision) for revision in (good, bad)]
    if not is_ancestor(worktree.repository, ends[0].id, ends[1].id) or ends[0] == ends[1]:
        raise UserError(f"--good {good} is not before --bad {bad}: bisection goes from an older, good revision to a newer, bad one.")
    tested: list[Tested] = []

    def test() -> Mark:
        at = worktree.head()
        verdict = judge(at)
        tested.append(Tested(at, MARKS[verdict.outcome], verdict))
        told(tested[-1])
        return tested[-1].mark

    worktree.check_out(ends[1].id)
    if test() != "bad":
        worse = "is not known to be worse" if tested[-1].mark == "skip" else "is not worse"
        raise UserError(f"nothing to bisect: at {ends[1].words} the cell {worse} than at {ends[0].words}: {tested[-1].verdict.summary}")
    answer = worktree.begin(ends[0].id, ends[1].id)
    while (found := first_bad(answer)) is None and not (left := only_skipped(answer)):
        answer = worktree.mark(test())
    first = commit(worktree.repository, found) if found else None
    left = [] if found else left
    return Found(ends[0], ends[1], tuple(tested), first, tuple(commit(worktree.repository, each) for each in left))


def range_size(worktree: Worktree, good: str, bad: str) -> int:
    """How many commits lie between the two, the bad one included."""
    return int(git(worktree.repository, "rev-list", "--count", f"{good}..{bad}").strip())
