"""What most verbs begin with: the suite that is meant, its cells, the store, and the plan."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmark import registry
from benchmark.grid import expand
from benchmark.ledger import Ledger
from benchmark.places import default_folders
from benchmark.plan import Plan, make_plan
from benchmark.records import Folders, SuiteResults
from benchmark.results import suite_results
from benchmark.spec import Suite, read_suite

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
    def arguments(self) -> list[str]:
        """The same choice as command-line arguments."""
        options = [("--set", self.overrides), ("--only", self.only), ("--plugins", self.plugins)]
        found = [self.suite] + [text for name, values in options for value in values for text in (name, str(value))]
        found += ["--seeds", str(self.seeds)] if self.seeds is not None else []
        found += ["--store", str(self.store)] if str(self.store) != DEFAULT_STORE else []
        return found + (["--yes"] if self.yes else [])

    def command(self, verb: str) -> str:
        """The command that repeats this, to paste into a shell."""
        return shlex.join(["skewbench", verb, *self.arguments])

    def process(self, verb: str) -> list[str]:
        """The same as a process of this interpreter."""
        return [sys.executable, "-m", "benchmark", verb, *self.arguments]


@dataclass(frozen=True)
class Session:
    """A suite with its plan against the store."""

    choice: Choice
    suite: Suite
    folders: Folders
    ledger: Ledger
    plan: Plan

    def results(self) -> SuiteResults:
        """What is known of the plan's cells."""
        return suite_results(self.suite, self.plan, self.ledger, command=self.choice.command("run"))


def open_session(choice: Choice) -> Session:
    """Read, expand and plan; UserError with the reason where that cannot be done."""
    load_plugins(choice.plugins)
    suite = read_suite(choice.suite, overrides=choice.overrides, seeds=choice.seeds)
    folders = default_folders(suite.path)
    cells = expand(suite, only=choice.only, limit=None if choice.yes else CELL_LIMIT)
    ledger = Ledger(choice.store)
    click.get_current_context().call_on_close(ledger.close)
    return Session(choice, suite, folders, ledger, make_plan(suite.name, cells, folders, ledger))


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


def store_option(function: F) -> F:
    """`--store DIR`."""
    text = "Folder of the results (default: $SKEWBENCH_STORE or ./skewbench-results)."
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--store", type=kind, default=lambda: Path(os.environ.get("SKEWBENCH_STORE", DEFAULT_STORE)), help=text)(function)


def plugins_option(function: F) -> F:
    """`--plugins DIR`."""
    text = "Folder (or file) with plug-ins of your own; may be repeated."
    return click.option("--plugins", multiple=True, type=click.Path(path_type=Path, exists=True, resolve_path=True), help=text)(function)


_SUITE_OPTIONS = (
    click.argument("suite"),
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value, as recipe.iterations=500; may be repeated."
    ),
    click.option("--only", multiple=True, metavar="AXIS=VALUE", help="Only cells that match, as method=ros or imbalance.ratio='>=50'."),
    click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds instead of the suite's."),
    store_option,
    plugins_option,
    click.option("--yes", is_flag=True, help=f"Allow more than {CELL_LIMIT:,} cells."),
)
