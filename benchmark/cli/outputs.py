"""Where the result of a check or run is sent besides the terminal: the options, and the delivery."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from benchmark.errors import SkewbenchError, UserError
from benchmark.jobs.work import DELIVERED_VARIABLE, WEBHOOK_VARIABLE
from benchmark.outputs.junit import junit
from benchmark.outputs.outbox import Outbox, checked_hook
from benchmark.outputs.texts import markdown, message

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Outputs:
    """What `--summary`, `--junit` and `--webhook` say."""

    summary: Path | None = None
    junit: Path | None = None
    webhook: str = ""


def output_options(function: F) -> F:
    """`--summary FILE`, `--junit FILE`, `--webhook URL`, passed on as one `outputs`."""

    @functools.wraps(function)
    def collected(**options: Any) -> Any:
        names = ("summary", "junit", "webhook")
        return function(outputs=Outputs(**{name: options.pop(name) for name in names}), **options)

    wrapped: Any = collected
    for decorate in reversed(_OPTIONS):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable a callable


def _hook(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value:
        try:
            checked_hook(value)
        except UserError as error:
            raise click.BadParameter(str(error)) from None
    return value


_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option("--summary", type=_FILE, help=f"Write the result as Markdown (${STEP_SUMMARY} gets it, too, where that is set)."),
    click.option("--junit", type=_FILE, help="Write the result as JUnit XML."),
    click.option("--webhook", default="", envvar=WEBHOOK_VARIABLE, callback=_hook, metavar="URL",
                 help=f"Send the result as JSON with a `text` as Slack takes it; better given by ${WEBHOOK_VARIABLE}."),
)  # fmt: skip


def deliver(document: Mapping[str, Any], outputs: Outputs, *, store: Path, tracker: bool = True) -> None:
    """Write and send a result's document. What cannot be sent now is kept and sent with the next one; MLflow in trouble is a warning."""
    text = markdown(document)
    if outputs.summary is not None:
        _write(outputs.summary, text.encode())
    if os.environ.get(STEP_SUMMARY):
        with Path(os.environ[STEP_SUMMARY]).open("a", encoding="utf-8") as file:
            file.write(text)
    if outputs.junit is not None:
        _write(outputs.junit, junit(document))
    if tracker:
        _tag(document, store)
    send(document, outputs.webhook, store=store)
    if os.environ.get(DELIVERED_VARIABLE):  # a schedule's run: else the schedule tells of it
        with contextlib.suppress(OSError):
            Path(os.environ[DELIVERED_VARIABLE]).touch()


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def _tag(document: Mapping[str, Any], store: Path) -> None:
    from trackers.verdicts import record_verdict

    try:
        record_verdict(document, store=store)
    except SkewbenchError as error:
        click.echo(f"skewbench: warning: {error}", err=True)


def send(document: Mapping[str, Any], webhook: str, *, store: Path) -> None:
    """Put a message for the webhook into the outbox, if there is one, and send what waits there."""
    outbox = Outbox(store)
    if webhook:
        outbox.put(webhook, message(document))
    done = outbox.flush()
    if done.waiting:
        click.echo(f"skewbench: warning: {done.problem}: {done.waiting} messages are kept and sent with the next result.", err=True)
