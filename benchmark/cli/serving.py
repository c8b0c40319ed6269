"""`skewbench serve`: the MLflow server of a team."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli.console import print_json
from benchmark.cli.session import store_option

if TYPE_CHECKING:
    from benchmark.jobs.scheduler import Scheduler
    from trackers.team import Ready, Team


@click.command()
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: every one of this machine.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--backend-store",
    "backend",
    metavar="URI",
    help="postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:////PATH (default: in STORE/server).",
)
@click.option(
    "--artifacts-destination", "artifacts", metavar="PLACE", help="Folder, or s3://BUCKET/PREFIX (default: STORE/server/artifacts)."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer (default: 1 with SQLite, else 2).")
@click.option(
    "--allowed-hosts",
    multiple=True,
    metavar="NAME",
    help="A further name under which it is reached, as mlflow.example.org; may be repeated.",
)
@click.option("--auth", is_flag=True, help="Ask for a login. The administrator's password is drawn at the first start and shown once.")
@click.option("--new-password", is_flag=True, help="With --auth: draw a new password for the administrator.")
@click.option(
    "--check", is_flag=True, help="Start nothing: ask the server at MLFLOW_TRACKING_URI, or at --host and --port, whether it is well."
)
@click.option("--json", "as_json", is_flag=True, help="With --check: print the answer as JSON.")
@click.option("--schedule", "scheduled", is_flag=True, help="Do what `skewbench schedule` has planned in this store, too.")
def serve(*, check: bool, as_json: bool, scheduled: bool, **options: Any) -> None:
    """Serve MLflow for a team until Ctrl-C or SIGTERM: runs go to its database, files through it to one place.

    On this machine only, without a login, unless told otherwise. The traffic is not encrypted: beyond a trusted network put it behind a
    proxy that speaks TLS. A password in --backend-store can be left to PGPASSWORD. S3 credentials are taken from the environment
    (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; MLFLOW_S3_ENDPOINT_URL for another S3 than Amazon's); clients need none.

    \b
    Write to it:  MLFLOW_TRACKING_URI=http://HOST:5000 skewbench run SUITE     (or `sync SUITE`, for what is done already)
    Is it well?   MLFLOW_TRACKING_URI=http://HOST:5000 skewbench serve --check (exit code 0, or 1 and the reason)
    """
    from trackers.team import Team

    team = Team(**options)
    if options["new_password"] and not options["auth"]:
        raise click.UsageError("--new-password goes with --auth.")
    if check:
        _check(team, as_json=as_json)
        return
    raise SystemExit(_serve(team, (_schedule(team.store),) if scheduled else ()))


def _schedule(store: Path) -> Scheduler:
    from benchmark.cli.schedule import make_scheduler

    scheduler = make_scheduler(store)
    click.echo(f"schedule:  {len(scheduler.table.jobs())} jobs in {scheduler.table.file}", err=True)
    return scheduler


def _serve(team: Team, beside: tuple[AbstractContextManager[object], ...] = ()) -> int:
    """Serve until interrupted. `beside`: what runs as long as the server does."""
    from trackers.service import serve as serve_until_stopped
    from trackers.team import prepared

    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))  # a terminal that is closed ends it as SIGTERM does
    click.echo("starting MLflow ...", err=True)
    with prepared(team) as made:
        code = serve_until_stopped(made.service, ready=_teller(team, made), beside=beside)
    click.echo("MLflow has stopped.", err=True)
    return code


def _teller(team: Team, made: Ready) -> Callable[[str], None]:
    def ready(url: str) -> None:
        for line in _words(team, made, url):
            click.echo(line)
        sys.stdout.flush()  # whoever reads a pipe waits for it
        if not team.is_local and not team.auth:
            click.echo(
                "skewbench: warning: whoever reaches this address can read and change everything: --auth asks for a login.", err=True
            )

    return ready


def _words(team: Team, made: Ready, url: str) -> list[str]:
    import socket

    seen = url if team.host not in ("0.0.0.0", "::") else f"http://{socket.gethostname()}:{team.port}"
    lines = [f"MLflow:    {seen}", f"database:  {made.database}", f"files:     {made.artifacts}", f"log:       {made.service.log}"]
    settings = f"MLFLOW_TRACKING_URI={seen}"
    if made.login is not None:
        settings += f" MLFLOW_TRACKING_USERNAME={made.login.username} MLFLOW_TRACKING_PASSWORD=…"
        if made.login.password is not None:
            lines.append(f"password:  {made.login.password}   (of {made.login.username}; shown this once: only a hash of it is kept)")
        else:
            lines.append(f"password:  of {made.login.username}: as it was set; `--new-password` draws another")
        lines.append(f"people:    are added by {made.login.username} at {seen}/signup")
    return [
        *lines,
        f"use it:    export {settings}",
        "           skewbench run SUITE, or skewbench sync SUITE for what is done already",
        "Ctrl-C ends it.",
    ]


def _check(team: Team, *, as_json: bool) -> None:
    from dataclasses import asdict

    from trackers.service import Service
    from trackers.service import check as ask

    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    url = uri if uri.startswith(("http://", "https://")) else Service((), {}, team.host, team.port, Path()).url
    found = ask(url)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(f"{found.url}: healthy, MLflow {found.version}, its database answers in {1000 * found.seconds:.0f} ms")
