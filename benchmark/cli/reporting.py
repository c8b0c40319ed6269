"""`skewbench report`: what is known of suites, written as a page, tables and figures."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import benchmark
from benchmark.cli.console import print_json
from benchmark.cli.history import tracked_points, with_timeline
from benchmark.cli.pulling import pulled_suite, told
from benchmark.cli.session import Choice, Session, cell_options, default_store, open_session
from benchmark.combine import combined
from benchmark.errors import UserError
from benchmark.ledger import Ledger
from benchmark.records import SuiteResults

if TYPE_CHECKING:
    from reports.write import Formats

STAMP = ".made-of"
"""The file in a report's folder that says what the report there was made of."""
FORMATS = {"html": "", "csv": "csv", "md": "md", "latex": "tex"}
FIGURES = ("svg", "png", "pdf")
OWN = ("summary.py", "means.py", "exact.py", "inference.py", "ranks.py", "labels.py", "answer.py")
"""Modules of benchmark whose code a report follows from."""

MANY = 500_000
"""Objects that are many to look through for garbage."""


def _listed(known: Sequence[str]) -> Any:
    """A click callback for `a,b,c` of known words."""

    def parse(_context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
        words = tuple(word.strip() for word in value.split(",") if word.strip())
        for word in words:
            if word not in known:
                raise UserError(f"{parameter.opts[0]}: '{word}' is not known. Known: {', '.join(known)}.")
        return words

    return parse


@dataclass(frozen=True)
class Wish:
    """What a report is to show and in which form."""

    metrics: tuple[str, ...]
    baseline: str | None
    formats: tuple[str, ...]
    figures: tuple[str, ...]

    def applied(self, results: SuiteResults) -> SuiteResults:
        """The results with these metrics, the first being the main one, against this baseline. UserError for names they do not have."""
        if self.metrics:
            known = {info.name: info for info in results.metrics}
            for name in self.metrics:
                if name not in known:
                    raise UserError(f"--metric: '{name}' is not among the metrics of these results: {', '.join(known)}.")
            shown = tuple(name for name in results.show_per_class if name in self.metrics)
            results = replace(results, metrics=tuple(known[name] for name in self.metrics), show_per_class=shown)
        return replace(results, baseline=self.baseline) if self.baseline else results

    @property
    def made(self) -> Formats:
        """As the writer takes it."""
        from reports.write import Formats

        tables = tuple(FORMATS[name] for name in self.formats if FORMATS[name])
        return Formats(page="html" in self.formats, tables=tables, figures=self.figures)


_WISHES = (
    click.option(
        "--metric", "metrics", multiple=True, metavar="NAME",
        help="Only these metrics; the first orders the methods. May be repeated.",
    ),
    click.option("--baseline", metavar="METHOD", help="The method that others are compared with, instead of the suite's."),
    click.option(
        "--format", "formats", default=",".join(FORMATS), show_default=True, callback=_listed(tuple(FORMATS)), help="What to write.",
    ),
    click.option(
        "--figures", default="svg", show_default=True, callback=_listed(FIGURES),
        help="Forms of each figure: svg,png,pdf (LaTeX includes PDFs).",
    ),
)  # fmt: skip


def wish_options(function: Any) -> Any:
    """`--metric`, `--baseline`, `--format`, `--figures`."""
    for option in reversed(_WISHES):
        function = option(function)
    return function


@click.command()
@click.argument("suites", nargs=-1, required=True, metavar="SUITE...")
@cell_options
@click.option(
    "--store", "stores", multiple=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the results (default: $SKEWBENCH_STORE or ./skewbench-results); of several stores a suite's cells are put together.",
)  # fmt: skip
@wish_options
@click.option("--from-mlflow", metavar="URI", help="Read the results from a tracker instead of a store; SUITE is then a suite's name.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write (default: STORE/reports/SUITE).")
@click.option("--open", "open_it", is_flag=True, help="Open the page in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON and write nothing.")
def report(
    suites: tuple[str, ...], stores: tuple[Path, ...], from_mlflow: str | None, out: Path | None, open_it: bool, as_json: bool, **given: Any
) -> None:
    """Write the report of SUITE from what is done so far: an offline page, tables (CSV, Markdown, LaTeX) and figures.

    Several suites, or one suite from several stores, become one report: methods are then ranked over the conditions of all of them.
    """
    gc.disable()  # a short process full of results that stay: to look through them for garbage took a third of its time
    click.get_current_context().call_on_close(_collect_again)
    wish = Wish(*(given.pop(name) for name in ("metrics", "baseline", "formats", "figures")))
    places = stores or (default_store(),)
    choices = [] if from_mlflow else [Choice(suite=suite, store=store, **given) for suite in suites for store in places]
    results = wish.applied(combined(_from_tracker(from_mlflow, suites) if from_mlflow else [_known(choice) for choice in choices]))
    if as_json:
        print_json(results)
        return
    _say_if_nothing(results)
    folder = out or _folder(places[0], results.name, choices, wish)
    page = _write_report(results, folder, wish)
    click.echo(page)
    if open_it:
        click.launch(page.resolve().as_uri())


def _collect_again() -> None:
    """Look for garbage again; not in what a large report leaves, for the process ends now and looking takes seconds."""
    if gc.get_count()[0] > MANY:
        gc.freeze()
    gc.enable()


def _from_tracker(uri: str, suites: Sequence[str]) -> list[SuiteResults]:
    from trackers.pull import read_results

    found = [(suite, read_results(uri, suite)) for suite in suites]
    return [with_timeline(results, tracked_points(uri, suite, results.cells)) for suite, results in found]


def _known(choice: Choice) -> SuiteResults:
    """What a store knows of a suite; a pulled store needs neither the suite's file nor its data."""
    pulled = pulled_suite(choice)
    if pulled is None:
        session = open_session(choice)
        return _over_time(session, session.results())
    click.echo(told(pulled), err=True)
    with Ledger(choice.store, writable=False) as ledger:
        return with_timeline(pulled.results, ledger.points(choice.suite))


def _over_time(session: Session, results: SuiteResults) -> SuiteResults:
    if session.ledger is None:
        return results
    return with_timeline(results, session.ledger.points(session.suite.name, {cell.key: cell for cell in results.cells}))


def _say_if_nothing(results: SuiteResults) -> None:
    if not any(cell.status in ("ok", "failed", "blocked") for cell in results.cells):
        text = "Nothing of this selection has run yet. Results of another --set, --only or --seeds need the same options here."
        click.echo(text, err=True)


def _folder(store: Path, name: str, choices: Sequence[Choice], wish: Wish) -> Path:
    """A folder of its own for each suite, choice of cells and wish, so that a part never replaces the whole."""
    safe = "".join(char if char.isalnum() or char in "-_+." else "-" for char in name)[:100]
    if wish.metrics or wish.baseline:
        safe += "+" + hashlib.sha256(repr((wish.metrics, wish.baseline)).encode()).hexdigest()[:6]
    return report_folder(choices[0], name) if len(choices) == 1 and "+" not in safe else store / "reports" / safe


def report_folder(choice: Choice, name: str) -> Path:
    """A folder for the suite, and one of its own for each other choice of cells, so that a part never replaces the whole."""
    return choice.store / "reports" / (f"{name}+{choice.variant}" if choice.variant else name)


def write_report_if_changed(session: Session, results: SuiteResults) -> Path:
    """Write the report unless the one that stands there was made of the very same results."""
    folder, results = report_folder(session.choice, session.suite.name), _over_time(session, results)
    index, stamp = folder / "index.html", folder / STAMP
    is_same = index.exists() and stamp.exists() and stamp.read_text() == _made_of(results)
    return index if is_same else _write_report(results, folder, Wish((), None, tuple(FORMATS), ("svg",)))


def _write_report(results: SuiteResults, folder: Path, wish: Wish) -> Path:
    from reports.write import check_is_ours, write_report

    check_is_ours(folder)
    (folder / STAMP).unlink(missing_ok=True)  # first: a kill on the way must not leave it beside another report
    index = write_report(results, folder, wish.made)
    whole = set(wish.formats) == set(FORMATS)
    (folder / STAMP).write_text(_made_of(results) if whole else "")
    return index


def _made_of(results: SuiteResults) -> str:
    """Digest of all that a report follows from: the results, and the code and templates that write it."""
    import reports

    frame = replace(results, cells=())
    made_of = hashlib.sha256(f"{benchmark.__version__}\n{frame!r}".encode("utf-8", "backslashreplace"))
    for cell in results.cells:  # a key stands for configuration and code, the times for this very result
        told = (cell.key, cell.status, cell.reason, cell.started, cell.ended, cell.shared_with, cell.metrics, cell.solo, cell.log_tail)
        made_of.update(repr(told).encode("utf-8", "backslashreplace"))
    files = [file for root in reports.__path__ for file in Path(root).rglob("*") if file.suffix in (".py", ".html", ".css", ".js")]
    own = [Path(benchmark.__path__[0], name) for name in OWN]
    for file in sorted([*files, *own]):
        made_of.update(file.read_bytes())
    return made_of.hexdigest()
