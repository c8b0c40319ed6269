"""`skewbench bisect`: which commit made a cell worse?"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import click

import benchmark
from benchmark.arrays import Arrays
from benchmark.cli.console import print_json
from benchmark.cli.engines import Means, place_options
from benchmark.cli.gating import only_cell, only_words
from benchmark.cli.session import Choice, Session, open_session, suite_options
from benchmark.evaluate import scoring_key
from benchmark.gate.baseline import Baseline, BaselineCell, Baselines, pair_of, setting_of
from benchmark.gate.bisect import Found, Tested, bisect, range_size
from benchmark.gate.check import Check
from benchmark.gate.cost import Timing
from benchmark.gate.environments import EnvironmentFailed, Environments
from benchmark.gate.policy import Policy, points, share
from benchmark.gate.sides import Match, Now
from benchmark.gate.verdict import GateVerdict
from benchmark.gate.worktree import Commit, Worktree, top_level
from benchmark.ledger import Ledger
from benchmark.results import SOLO

On = Literal["quality", "time", "memory"]
WINDOW, RERUNS = 3, 2
"""Measurements of the good revision, and of each other one where the first is alarming, when time or memory is bisected."""
ROOT = Path(benchmark.__file__).parents[1]


@click.command("bisect")
@suite_options
@place_options
@click.argument("cell")
@click.option("--good", required=True, metavar="REV", help="A revision at which all is well.")
@click.option("--bad", default="HEAD", show_default=True, metavar="REV", help="A later one at which it is not.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The repository with the plug-ins (default: that of the first --plugins folder, else of the suite's file).",
)
@click.option("--on", type=click.Choice(["quality", "time", "memory"]), default="quality", show_default=True, help="What got worse.")
@click.option("--margin", help="Loss that counts: 0.5pp of quality, 5% of time and memory.")
@click.option("--alpha", type=click.FloatRange(0, 0.5, min_open=True), default=0.01, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def bisect_(  # noqa: PLR0913  # one argument per option
    choice: Choice,
    means: Means,
    cell: str,
    good: str,
    bad: str,
    repository: Path | None,
    on: On,
    margin: str | None,
    alpha: float,
    as_json: bool,
) -> None:
    """Find the commit between --good and --bad that made CELL of SUITE worse (its id as `plan` or a verdict prints it).

    Drives `git bisect` in a worktree of its own, with the gate as the test: at each revision the cell is run with that revision's
    plug-ins (and its own skewbench, if that is the repository) and compared with the good one. Where a revision's requirements differ
    from the present ones, an environment is built for it. A revision that cannot be judged is skipped.
    """
    session = only_cell(open_session(choice), None, cell)
    top = top_level(repository or (choice.plugins[0] if choice.plugins else session.folders.suite or Path()))
    choice.store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=choice.store, prefix="bisect-") as place:
        folder = Path(place).resolve()
        with Worktree(top, folder / "tree") as worktree:
            steps = Steps(session, means, worktree, folder, on, _policy(on, margin, alpha))
            worktree.check_out(good)
            steps.accept_good()
            click.echo(f"{range_size(worktree, good, bad)} commits between {good} and {bad}", err=True)
            found = bisect(worktree, good, bad, steps.judge, _tell)
    _print(found, as_json=as_json)


def _policy(on: On, margin: str | None, alpha: float) -> Policy:
    given = points(margin or "0.5pp") if on == "quality" else share(margin or "5%")
    return Policy(**{"quality": None, "time": None, "memory": None, on: given}, alpha=alpha)  # type: ignore[arg-type]  # by name


@dataclass
class Steps:
    """Runs the cell as a revision has it, and judges it."""

    session: Session
    means: Means
    worktree: Worktree
    folder: Path
    on: On
    policy: Policy
    _good: Baseline | None = None
    _environments: Environments = field(init=False)
    _runs: int = 0

    def __post_init__(self) -> None:
        self._environments = Environments(self.worktree.repository, self.folder / "environments")

    def accept_good(self) -> None:
        """What the others are compared with. EnvironmentFailed or RevisionFailed where the good revision does not run."""
        runs = [self._run() for _ in range(1 if self.on == "quality" else WINDOW)]
        now = runs[0][0]
        setting, cell = setting_of(now.result.resolved), BaselineCell(now.result, now.sha256, now.size)
        windows = {setting: [timing for _, timing in runs if timing]}
        made = Baseline(self.session.suite.name, (cell,), scoring_key(self.session.suite.metrics), time.time(), timings=windows)
        assert now.read is not None
        source = self.folder / "runs-1" / now.path
        self._good = Baselines(self.folder, made.suite).keep("good", made, lambda _: source.read_bytes())

    def judge(self, commit: Commit) -> GateVerdict:
        """The revision that is checked out against the good one."""
        assert self._good is not None
        try:
            now, timing = self._run()
        except (EnvironmentFailed, RevisionFailed) as error:
            return GateVerdict(self._good.suite, "good", "not measured", f"could not measure: {error}", {}, (), problems=(str(error),))
        check = Check(self._good, [Match(self._good.cells[0], now)], self.session.suite.metrics, self.policy, single=True)
        check = self._timed(check, timing)
        return check.verdict(baseline="good", commit_after=commit.id, created=time.time())

    def _timed(self, check: Check, timing: Timing | None) -> Check:
        if timing is None:
            return check
        key, windows = check.matches[0].setting, [timing]
        check = replace(check, timings={key: windows})
        for _ in range(RERUNS):
            if not check.undecided_costs():
                break
            _, more = self._run()
            windows += [more] if more else []
        return check

    def _run(self) -> tuple[Now, Timing | None]:
        """The cell in a new store, by the interpreter and the code of the revision; of time and memory, measured alone too."""
        self._runs += 1
        store, choice = self.folder / f"runs-{self._runs}", self.session.choice
        python, is_ours = self._environments.python(self.worktree.folder)
        options = ["--no-tracker", "--no-report", *_place(self.means), *(["--profile"] if self.on != "quality" else [])]
        only = [text for item in only_words(self.session, self.session.plan.cells[0].cell) for text in ("--only", item)]
        place = replace(choice, suite=str(_suite_file(self.session)), plugins=self._plugins(), only=())
        command = [str(python), "-P", "-m", "benchmark", "run", *place.arguments, *only, "--store", str(store), *options]
        done = subprocess.run(command, cwd=self.worktree.folder, env=self._variables(is_ours=is_ours), capture_output=True, text=True)
        return _result(self.session, store, done.stderr)

    def _plugins(self) -> tuple[Path, ...]:
        """Those of the repository as the revision has them; one that is not there yet is left out."""
        top, tree = self.worktree.repository.resolve(), self.worktree.folder
        inside = [tree / path.relative_to(top) if path.is_relative_to(top) else path for path in self.session.choice.plugins]
        return tuple(path for path in inside if path.exists())

    def _variables(self, *, is_ours: bool) -> dict[str, str]:
        """A revision of skewbench is imported from its checkout; else ours from where it is, or an environment's own."""
        tree = self.worktree.folder
        first = [str(tree)] if (tree / "benchmark" / "__init__.py").exists() else [str(ROOT)] if is_ours else []
        rest = [os.environ["PYTHONPATH"]] if is_ours and os.environ.get("PYTHONPATH") else []
        return {**os.environ, "PYTHONPATH": os.pathsep.join([*first, *rest])}


def _place(means: Means) -> list[str]:
    given = {"--device": means.device, "--exec": means.execution, "--workers": means.workers, "--threads": means.threads}
    return [text for name, value in given.items() if value is not None for text in (name, str(value))]


class RevisionFailed(EnvironmentFailed):
    """A revision does not give the cell a result."""


def _suite_file(session: Session) -> Path:
    """The suite as it is now: one question for all revisions."""
    from benchmark.language.parents import find

    return find(session.choice.suite).resolve()


def _result(session: Session, store: Path, log: str) -> tuple[Now, Timing | None]:
    """The one cell of a revision's store."""
    wanted = pair_of(session.plan.cells[0].work.resolved) if session.plan.cells[0].work else ""
    if not (store / "ledger.sqlite").exists():
        raise RevisionFailed(f"the revision does not run: {log.strip()[-500:]}")
    with Ledger(store, writable=False) as ledger:
        found = [cell for cell in ledger.cells(session.suite.name).values() if pair_of(cell.resolved) == wanted]
        row = ledger.stage(ledger.last_stage(session.suite.name, found[0].key)) if found and found[0].status == "ok" else None
        notes = ledger.notes(SOLO)
    if row is None or row.file is None:
        raise RevisionFailed(found[0].reason if found else f"the revision has no such cell: {log.strip()[-500:]}")
    read = functools.partial(_read, store, row.key)
    return Now(found[0], row.file.sha256, read, "", row.file.path, row.file.size), notes.get(found[0].key)


def _read(store: Path, key: str) -> Arrays:
    with Ledger(store, writable=False) as ledger:
        row = ledger.stage(key)
        assert row is not None
        return ledger.arrays(row)


def _tell(tested: Tested) -> None:
    click.echo(f"{tested.mark:5} {tested.commit.words}: {tested.verdict.summary}", err=True)


def _print(found: Found, *, as_json: bool) -> None:
    if as_json:
        verdict = found.verdict.document
        print_json({"first_bad": found.first_bad, "candidates": found.candidates, "tested": _rows(found.tested), "verdict": verdict})
        return
    if found.first_bad:
        click.echo(f"The first bad commit is {found.first_bad.words}\n  {found.verdict.summary}")
    else:
        click.echo("The first bad commit is one of these, which could not be judged:")
        for each in found.candidates:
            click.echo(f"  {each.words}")
    for change in found.verdict.changes:
        click.echo(f"  changed since {found.good.id[:12]}: {change.kind} {change.name}")


def _rows(tested: Sequence[Tested]) -> list[dict[str, str]]:
    return [{"commit": each.commit.id, "mark": each.mark, "summary": each.verdict.summary} for each in tested]
