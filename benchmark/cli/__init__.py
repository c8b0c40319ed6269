"""The command line: the only place that prints, and the only one that knows trackers and reports.

Exit codes: 0 all cells ok, 1 some failed, 2 the input is wrong, 130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

import benchmark
from benchmark.cli.verbs import Verbs
from benchmark.errors import SkewbenchError, UserError
from benchmark.redaction import redact

EXIT_FAILED, EXIT_USER, EXIT_INTERRUPTED = 1, 2, 130

EPILOG = """\b
Exit codes: 0 all cells ok, 1 some cells failed, 2 your input is wrong, 130 interrupted (re-issue the command to go on).
Of `gate`: 0 no regression, 3 regressed, 4 inconclusive, 5 could not measure.
Environment: SKEWBENCH_DATA (data folders), SKEWBENCH_STORE (results), MLFLOW_TRACKING_URI, CUDA_VISIBLE_DEVICES, XDG_CACHE_HOME.
"""


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(benchmark.__version__, prog_name="skewbench")
def cli() -> None:
    """Benchmark ways of handling class imbalance in image classification.

    \b
    Start with:   skewbench run quickstart
    Your images:  skewbench new my-suite --data PATH
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `skewbench` command; ends the process with its exit code."""
    gc.set_threshold(50_000, 20, 20)  # what is imported stays: to look through it for garbage took a twentieth of a short command
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(arguments, prog_name="skewbench", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = _stopped()
    except click.ClickException as error:
        error.show()
        code = EXIT_USER
    except SkewbenchError as error:
        click.echo(f"skewbench: {redact(str(error))}", err=True)
        code = EXIT_USER if isinstance(error, UserError) else EXIT_FAILED
    except OSError as error:
        code = _system_error(error)
    sys.exit(code if isinstance(code, int) else 0)


def _system_error(error: OSError) -> int:
    """What the system refused, in a sentence; a traceback would say no more."""
    if isinstance(error, BrokenPipeError):  # `skewbench plan x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = " Everything finished is kept: make room and issue the same command again." if is_full else ""
    click.echo(f"skewbench: {error}.{advice}", err=True)
    return EXIT_FAILED if is_full else EXIT_USER


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stopped() -> int:
    click.echo("skewbench: interrupted. Everything finished is kept: issue the same command again to go on.", err=True)
    return EXIT_INTERRUPTED
