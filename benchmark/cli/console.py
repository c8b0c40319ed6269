"""Progress and tables for people: live on a terminal, plain lines otherwise."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import click

from benchmark.failures import PRUNED
from benchmark.records import CellResult, SuiteResults
from benchmark.rows import StageRow
from benchmark.stages import Stage
from benchmark.summary import Summary, shown_difference, shown_mean, summarize
from benchmark.tasks import Slot

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def describe(stage: Stage) -> str:
    """A stage in a few words: `train ros · step ratio=100 · seed 2`."""
    config = stage.chain[0].config
    ((imbalance, parameters),) = config["imbalance"].items()
    ratio = f" ratio={parameters['ratio']:g}" if "ratio" in parameters else ""
    dataset, model = next(iter(config["dataset"])), next(iter(config["model"]))
    return f"{stage.op} {stage.owner} · {dataset} {imbalance}{ratio} · {model} · seed {config['seed']}"


@dataclass
class PlainListener:
    """One line per training, failure and wait: for logs and pipes."""

    num_trainings: int
    _done: int = 0
    _begun: float | None = None
    """When the first training began: what is measured and started before says nothing of how long the others will take."""
    _at_work: set[str] = field(default_factory=set)
    """Keys of the trainings that have begun and not ended."""
    _told: dict[str, float] = field(default_factory=dict)
    """When something was last said of a stage at work, by its key."""
    _waiting: bool = False

    def __enter__(self) -> PlainListener:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stage_started(self, stage: Stage, slot: Slot) -> None:  # noqa: ARG002  # the listener's contract
        self._told[stage.key] = time.monotonic()
        if stage.op == "train":
            self._begun = self._begun or time.monotonic()
            self._at_work.add(stage.key)

    def stage_progress(self, stage: Stage, done: int, total: int) -> None:
        if time.monotonic() - self._told.get(stage.key, 0.0) > 30:
            self._told[stage.key] = time.monotonic()
            click.echo(f"  {describe(stage)}: step {done} of {total}", err=True)

    def stage_ended(self, stage: Stage, row: StageRow) -> None:
        self._told.pop(stage.key, None)
        if row.status == "failed" and row.kind != PRUNED:
            click.echo(f"FAILED {describe(stage)}: {row.kind}: {row.message}", err=True)
        if stage.op == "train":
            self._done += 1
            self._at_work.discard(stage.key)
            took = row.ended - row.started
            left = duration(self._seconds_left())
            click.echo(f"[{self._done}/{self.num_trainings}] {describe(stage)} · {took:.1f} s · about {left} left", err=True)

    def _seconds_left(self) -> float:
        """At the pace so far, those at work counted as half done."""
        done = self._done + len(self._at_work) / 2
        elapsed = time.monotonic() - self._begun if self._begun else 0.0
        return elapsed / done * (self.num_trainings - done)

    def cell_ended(self, result: CellResult) -> None:
        pass

    def waiting(self, stages: int) -> None:
        if not self._waiting:
            click.echo(f"waiting for another process that works on {stages} of the stages needed here", err=True)
        self._waiting = True

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        click.echo(text, err=True)


class LiveListener:
    """A bar for the suite and one for each stage at work, with elapsed and remaining time."""

    def __init__(self, num_trainings: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._progress: Progress = Progress(*columns, console=Console(stderr=True))
        self._suite: TaskID = self._progress.add_task("trainings", total=num_trainings)
        self._stages: dict[str, TaskID] = {}

    def __enter__(self) -> LiveListener:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for bar in self._stages.values():
            self._progress.remove_task(bar)
        self._progress.stop()

    def stage_started(self, stage: Stage, slot: Slot) -> None:  # noqa: ARG002  # the listener's contract
        self._stages[stage.key] = self._progress.add_task(describe(stage), total=None)

    def stage_progress(self, stage: Stage, done: int, total: int) -> None:
        self._progress.update(self._stages[stage.key], completed=done, total=total)

    def stage_ended(self, stage: Stage, row: StageRow) -> None:
        if row.status == "failed" and row.kind != PRUNED:
            self._progress.console.print(f"FAILED {describe(stage)}: {row.kind}: {row.message}", markup=False, style="red")
        self._progress.remove_task(self._stages.pop(stage.key))
        self._progress.advance(self._suite, stage.op == "train")

    def cell_ended(self, result: CellResult) -> None:
        pass

    def waiting(self, stages: int) -> None:
        self._progress.update(self._suite, description=f"trainings (waiting for another process: {stages} stages)")

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        self._progress.console.print(text, markup=False)


def listener(num_trainings: int) -> PlainListener | LiveListener:
    """Live on a terminal, plain elsewhere."""
    return LiveListener(num_trainings) if sys.stderr.isatty() else PlainListener(num_trainings)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, prose: bool = False) -> None:
    """A table fitted to the terminal, or as wide as it needs to be elsewhere. `prose`: texts, of which only the last column may wrap."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=SIMPLE)
    for index, name in enumerate(header):
        wraps = prose and index == len(header) - 1
        table.add_column(Text(name), justify="left" if index == 0 or prose else "right", no_wrap=not wraps, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=_width()).print(table)


def _width() -> int:
    """Columns that output may take: the terminal's, plenty where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 160


def print_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain aligned table, quick also for tens of thousands of rows, and easy to grep."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in (header, *rows))
    click.echo("\n".join(lines))


def print_json(document: object) -> None:
    """A record or a plain document as JSON that every reader takes: there is no NaN in it, a number that is not finite is null."""
    click.echo(json.dumps(_as_json(document), indent=2, allow_nan=False))


def _as_json(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _as_json(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_comparison(results: SuiteResults, *, num_metrics: int = 3) -> None:
    """Mean ± 95 % interval and the paired difference to the baseline, a table per condition."""
    summary = summarize(results, tested=False)
    for condition in summary.conditions:
        entries = [row for row in summary.rows if row in summary.entries[condition]]
        names = _fitting([info.name for info in results.metrics[:num_metrics]], summary, condition, entries)
        header = ["method"] + [text for name in names for text in (name, *_against(summary))]
        print_table(f"{results.name}: {condition}", header, [_row(summary, condition, row, names) for row in entries])
    paired = f" − {summary.baseline}: paired difference over common seeds, with its interval." if summary.baseline else ""
    click.echo(f"Mean ± half of the 95 % interval over seeds (Student's t; BCa bootstrap from 20 seeds on).{paired}")


def _fitting(names: Sequence[str], summary: Summary, condition: str, entries: Sequence[str]) -> Sequence[str]:
    """As many metrics, from the first, as the width has room for; the report has them all."""
    while len(names) > 1:
        header = ["method"] + [text for name in names for text in (name, *_against(summary))]
        rows = [_row(summary, condition, row, names) for row in entries]
        if sum(max(map(len, column)) + 3 for column in zip(header, *rows, strict=True)) + 1 <= _width():
            break
        names = names[:-1]
    return names


def _against(summary: Summary) -> list[str]:
    """The heading of the differences, where there is a baseline to differ from."""
    return [f"− {summary.baseline}"] if summary.baseline else []


def _row(summary: Summary, condition: str, row: str, names: Sequence[str]) -> list[str]:
    entry = summary.entries[condition][row]
    texts = [row]
    for name in names:
        score = entry.scores.get(name)
        difference = [shown_difference(score.difference if score else None)] if summary.baseline else []
        texts += [shown_mean(score.mean) if score else "–", *difference]
    return texts
