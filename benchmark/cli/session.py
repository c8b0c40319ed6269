"""What most verbs begin with: the suite that is meant, its cells, the store, and the plan."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmark import registry
from benchmark.cells import Cell
from benchmark.evaluate import scoring_key
from benchmark.grid import expand
from benchmark.identity import canonical, digest
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.plan import Plan, make_plan, needed
from benchmark.records import Folders, SuiteResults
from benchmark.redaction import redact
from benchmark.results import suite_results
from benchmark.rows import StageRow
from benchmark.spec import Suite, read_suite
from benchmark.stages import Stage

DEFAULT_STORE = "skewbench-results"
CELL_LIMIT = 100_000
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Choice:
    """The options that say which cells are meant."""

    suite: str
    overrides: tuple[str, ...]
    only: tuple[str, ...]
    seeds: int | None
    store: Path
    plugins: tuple[Path, ...]
    yes: bool

    @property
    def variant(self) -> str:
        """A short name for a choice that is not the suite as it stands; empty for the suite itself."""
        chosen = [sorted(self.overrides), sorted(self.only), self.seeds]
        return digest(canonical(chosen))[:6] if any(chosen) else ""

    @property
    def arguments(self) -> list[str]:
        """The same choice as command-line arguments, but for the store."""
        options = [("--set", self.overrides), ("--only", self.only), ("--plugins", self.plugins)]
        found = [self.suite] + [text for name, values in options for value in values for text in (name, str(value))]
        found += ["--seeds", str(self.seeds)] if self.seeds is not None else []
        return found + (["--yes"] if self.yes else [])

    def command(self, verb: str) -> str:
        """The command that repeats this, to paste into a shell."""
        return shlex.join(["skewbench", verb, *self.arguments, *store_arguments(self.store)])

    def process(self, verb: str) -> list[str]:
        """The same as a process of this interpreter."""
        return [sys.executable, "-m", "benchmark", verb, *self.arguments, "--store", str(self.store)]


@dataclass(frozen=True)
class Session:
    """A suite with its plan against the store. `ledger`: None where there is no store yet and none is to be made."""

    choice: Choice
    suite: Suite
    folders: Folders
    ledger: Ledger | None
    plan: Plan

    @property
    def own_ledger(self) -> Ledger:
        """The ledger of a session that was opened with `create=True`."""
        assert self.ledger is not None, "opened to read only"
        return self.ledger

    def rows(self) -> Mapping[str, StageRow]:
        """Every recorded stage by key."""
        return self.ledger.stages() if self.ledger else {}

    def todo(self) -> list[Stage]:
        """The stages that are to be computed, parents first."""
        return needed(self.plan, self.rows())

    def only(self, cells: Sequence[Cell]) -> Session:
        """The same with fewer cells."""
        return replace(self, plan=_planned(self.suite, cells, self.folders, self.ledger))

    def results(self) -> SuiteResults:
        """What is known of the plan's cells."""
        found = suite_results(self.suite, self.plan, self.ledger, command=redact(self.choice.command("run")))
        return replace(found, suite_text=redact(found.suite_text))


def open_session(choice: Choice, *, create: bool = False) -> Session:
    """Read, expand and plan; UserError with the reason where that cannot be done. `create`: make the store if there is none."""
    load_plugins(choice.plugins)
    suite = read_suite(choice.suite, overrides=choice.overrides, seeds=choice.seeds)
    folders = default_folders(suite.path)
    cells = expand(suite, only=choice.only, limit=None if choice.yes else CELL_LIMIT)
    there = (choice.store / "ledger.sqlite").exists()
    ledger = Ledger(choice.store, writable=create) if create or there else None
    if ledger:
        click.get_current_context().call_on_close(ledger.close)
    return Session(choice, suite, folders, ledger, _planned(suite, cells, folders, ledger))


def _planned(suite: Suite, cells: Sequence[Cell], folders: Folders, ledger: Ledger | None) -> Plan:
    return make_plan(suite.name, cells, folders, ledger, scoring=scoring_key(suite.metrics), share=suite.share)


def load_plugins(folders: tuple[Path, ...]) -> None:
    """Import the plug-in files that `--plugins` names."""
    for folder in folders:
        registry.load_folder(folder)


def suite_options(function: F) -> F:
    """The suite argument and the options that choose its cells, passed on as one `choice`."""

    @functools.wraps(function)
    def collected(**options: Any) -> Any:
        names = ("suite", "overrides", "only", "seeds", "store", "plugins", "yes")
        choice = Choice(**{name: options.pop(name) for name in names})
        return function(choice=choice, **options)

    wrapped: Any = collected
    for decorate in reversed(_SUITE_OPTIONS):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable a callable


def default_store() -> Path:
    """The store where none is named."""
    return Path(os.environ.get("SKEWBENCH_STORE") or DEFAULT_STORE)


def store_arguments(store: Path) -> list[str]:
    """`--store DIR`, where it is needed to mean this store."""
    return [] if store == default_store() else ["--store", str(store)]


def store_option(function: F) -> F:
    """`--store DIR`."""
    text = "Folder of the results (default: $SKEWBENCH_STORE or ./skewbench-results)."
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--store", type=kind, default=default_store, help=text)(function)


def plugins_option(function: F) -> F:
    """`--plugins DIR`."""
    text = "Folder (or file) with plug-ins of your own; may be repeated."
    return click.option("--plugins", multiple=True, type=click.Path(path_type=Path, exists=True, resolve_path=True), help=text)(function)


def cell_options(function: F) -> F:
    """The options that choose cells of a suite, without the suite and the store: `overrides`, `only`, `seeds`, `plugins`, `yes`."""
    wrapped: Any = function
    for decorate in reversed((*_CELL_OPTIONS, plugins_option, _YES)):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable a callable


_CELL_OPTIONS = (
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value, as recipe.iterations=500; may be repeated."
    ),
    click.option("--only", multiple=True, metavar="AXIS=VALUE", help="Only cells that match, as method=ros or imbalance.ratio='>=50'."),
    click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds instead of the suite's."),
)
_YES = click.option("--yes", is_flag=True, help=f"Allow more than {CELL_LIMIT:,} cells.")
_SUITE_OPTIONS = (click.argument("suite"), *_CELL_OPTIONS, store_option, plugins_option, _YES)
