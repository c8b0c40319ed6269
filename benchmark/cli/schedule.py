"""`skewbench schedule`: suites that are run, or checked against a baseline, at given times."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli.console import duration, print_json, print_table
from benchmark.cli.outputs import send
from benchmark.cli.session import default_store, load_plugins, store_arguments, store_option
from benchmark.errors import UserError
from benchmark.jobs.cron import parse_cron
from benchmark.jobs.export import TARGETS, exported
from benchmark.jobs.table import Job, Ran, Table
from benchmark.jobs.times import fires_after, local_zone, shown_time, zone_of
from benchmark.jobs.work import WEBHOOK_VARIABLE, delivered_file, words
from benchmark.outputs.document import failure_document
from benchmark.outputs.outbox import checked_hook, hidden
from benchmark.spec import read_suite, shipped

if TYPE_CHECKING:
    from benchmark.jobs.scheduler import Scheduler

NOTHING_TO_TELL = (0, 130)
"""Exit codes of which nobody need be told: all is well; it was asked to stop."""
KEPT_VARIABLES = ("SKEWBENCH_DATA",)
"""What a run needs of the environment in which its job was added."""


@click.group()
def schedule() -> None:
    """Run suites, or check them against a baseline, every night or whenever a cron line says.

    \b
    skewbench schedule add regression/nightly --cron "0 3 * * *" --gate
    skewbench schedule serve          # does what is due; or, with the tracking service: skewbench serve --schedule
    skewbench schedule export --to systemd     # or let the system do it

    A run that was missed is made up for once; two never run at the same time on one machine; what was interrupted goes on.
    """


@schedule.command(context_settings={"ignore_unknown_options": True})
@click.argument("suite")
@click.option("--cron", required=True, help="When: five fields as in crontab(5), as '0 3 * * *'; or @hourly, @daily, @weekly, @monthly.")
@click.option("--timezone", help="Time zone of the cron line (default: this machine's).")
@click.option("--gate", is_flag=True, help="Check against a baseline (`skewbench gate`) instead of only running.")
@click.option("--against", default="main", show_default=True, help="The baseline to check against.")
@click.option("--name", help="Name of the job (default: from the suite's).")
@click.option("--webhook", default="", help="Where its results are sent as JSON (kept as a secret, never shown).")
@store_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def add(  # noqa: PLR0913  # one argument per option
    suite: str,
    cron: str,
    timezone: str | None,
    gate: bool,
    against: str,
    name: str | None,
    webhook: str,
    store: Path,
    arguments: tuple[str, ...],
) -> None:
    """Add a job for SUITE. Options of `run` or `gate` may follow the suite, as --seeds 2 or --junit FILE."""
    parse_cron(cron)
    zone = timezone or local_zone()
    zone_of(zone)
    if webhook:
        checked_hook(webhook)
    place = suite if suite in shipped() else str(Path(suite).resolve())
    kept = {variable: os.environ[variable] for variable in KEPT_VARIABLES if os.environ.get(variable)}
    job = Job(name or "", place, cron, zone, str(Path.cwd()), time.time(), gate, against, arguments, webhook, kept)
    load_plugins(_plugins(words(job, store)))
    job = replace(job, name=name or read_suite(suite).name)
    Table(store).add(job)
    click.echo(f"{job.name}: next at {shown_time(next(fires_after(job, job.added)), zone)}, while `skewbench schedule serve` runs.")


def _plugins(given: Sequence[str]) -> tuple[Path, ...]:
    """The plug-ins that the words of a command name. A mistake in them is found now and not at night."""
    verb, *rest = given
    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    found = root.command.get_command(root, verb)
    if found is None:
        raise UserError(f"this skewbench has no command `{verb}`.")
    with found.make_context(verb, list(rest)) as context:
        return tuple(context.params["plugins"])


@schedule.command("list")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_jobs(store: Path, as_json: bool) -> None:
    """List the jobs: when each is due next and what became of its last run."""
    table = Table(store)
    jobs = table.jobs()
    if as_json:
        print_json([_entry(table, job) for job in jobs.values()])
        return
    rows = [[str(text) for text in _row(table, job)] for job in jobs.values()]
    print_table("jobs", ["name", "cron", "what", "next", "last", "result"], rows, prose=True)


def _entry(table: Table, job: Job) -> dict[str, Any]:
    """A job as JSON; of a webhook only its host."""
    state = table.state(job.name)
    shown = {**asdict(job), "webhook": hidden(job.webhook) if job.webhook else ""}
    return {
        **shown,
        "next": next(fires_after(job, time.time())),
        "running": state.running is not None,
        "ran": [asdict(r) for r in state.ran],
    }


def _row(table: Table, job: Job) -> list[str]:
    last = table.state(job.name).last
    result = f"{_result(job, last)} in {duration(last.ended - last.started)}" if last else "–"
    what = " ".join(words(job, table.store)[:2])
    following = shown_time(next(fires_after(job, time.time())), job.timezone)
    return [job.name, job.cron, what, following, shown_time(last.started, job.timezone) if last else "–", result]


def _result(job: Job, ran: Ran) -> str:
    named = {0: "ok", 3: "regressed", 4: "inconclusive", 5: "not measured"} if job.gate else {0: "ok", 1: "cells failed"}
    return {**named, 130: "interrupted"}.get(ran.code, f"failed ({ran.code})")


@schedule.command()
@click.argument("name")
@store_option
def remove(name: str, store: Path) -> None:
    """Take the job NAME out of the schedule. Results and logs stay."""
    click.echo(f"{Table(store).remove(name).name}: removed")


@schedule.command("next")
@click.option("-n", "number", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def upcoming(number: int, store: Path, as_json: bool) -> None:
    """Show the next runs of all jobs in the order of their times."""
    found = list(itertools.islice(heapq.merge(*(_times(job) for job in Table(store).jobs().values())), number))
    if as_json:
        print_json([{"at": at, "job": name} for at, name, _ in found])
        return
    for at, name, zone in found:
        click.echo(f"{shown_time(at, zone)}  {name}")
    if not found:
        click.echo("no jobs: `skewbench schedule add SUITE --cron '0 3 * * *'`", err=True)


def _times(job: Job) -> Iterator[tuple[float, str, str]]:
    return ((at, job.name, job.timezone) for at in fires_after(job, time.time()))


@schedule.command()
@click.argument("name")
@click.option("--wait", is_flag=True, help="Where another scheduled run is at work, begin when it has ended instead of refusing.")
@store_option
def run(name: str, wait: bool, store: Path) -> None:
    """Run the job NAME now, as the scheduler would: under this machine's lock, with its log and its outputs. Ends with its exit code."""
    scheduler = make_scheduler(store)
    job = scheduler.table.job(name)
    ran = _interruptible(scheduler, job, wait=wait)
    if ran is None:
        scheduler.table.job(name)  # it may have been removed meanwhile
        raise UserError(
            f"another scheduled run is at work on this machine: `{name}` was not begun. Try again when it has ended, or --wait."
        )
    click.echo(Path(ran.log).read_text(errors="replace"), nl=False)
    raise SystemExit(ran.code if ran.code >= 0 else 128 - ran.code)


def _interruptible(scheduler: Scheduler, job: Job, *, wait: bool) -> Ran | None:
    """The run in a thread, so that an interruption of this process reaches it in good order; what went wrong in it is raised here."""
    with ThreadPoolExecutor(1) as pool:  # leaving it joins the thread
        running = pool.submit(scheduler.run, job, by_hand=True, wait=wait)
        try:
            return running.result()
        except KeyboardInterrupt:
            scheduler.stop()
            raise


@schedule.command()
@store_option
def serve(store: Path) -> None:
    """Do what is due, until this process is told to end (Ctrl-C, SIGTERM). Jobs may be added and removed meanwhile."""
    scheduler = make_scheduler(store)
    click.echo(f"{len(scheduler.table.jobs())} jobs in {scheduler.table.file}; Ctrl-C ends.", err=True)
    scheduler.start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("ending: a run in progress is interrupted in good order and goes on with the next start", err=True)
        scheduler.stop()


@schedule.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", "target", required=True, type=click.Choice(TARGETS), help="What is to run the jobs.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write the files to (default: print them).")
@store_option
def export(names: tuple[str, ...], target: str, out: Path | None, store: Path) -> None:
    """Write the native equivalent of the jobs (all, or those of the NAMEs) for cron, systemd or GitHub Actions."""
    table = Table(store)
    jobs = [table.job(name) for name in names] or list(table.jobs().values())
    files = {file: text for job in jobs for file, text in exported(job, store, target).items()}
    for file, text in files.items():
        if out is None:
            click.echo(f"# {file}\n{text}")
        else:
            out.mkdir(parents=True, exist_ok=True)
            (out / file).write_text(text)
            click.echo(str(out / file))


def make_scheduler(store: Path) -> Scheduler:
    """The schedule of a store, which tells of runs that could not tell themselves."""
    from benchmark.jobs.scheduler import Scheduler

    store = store.resolve()  # a job runs in a folder of its own
    return Scheduler(store, tell=lambda job, ran: _tell(store, job, ran))


def _tell(store: Path, job: Job, ran: Ran) -> None:
    """Send how a run ended that could not tell it itself, whatever its exit code: 1 is a failed cell and a crash alike."""
    mark = delivered_file(Path(ran.log))
    if mark.exists():
        mark.unlink()
    elif ran.code not in NOTHING_TO_TELL:
        tail = Path(ran.log).read_text(errors="replace")[-4000:]
        command = " ".join(["skewbench schedule run", job.name, *store_arguments(store)])
        hook = job.webhook or os.environ.get(WEBHOOK_VARIABLE, "")
        send(failure_document(job.suite, ran.code, command=command, log_tail=tail), hook, store=store)


__all__ = ["default_store", "make_scheduler", "schedule"]
