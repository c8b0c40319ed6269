"""A job as its native equivalent: a line for cron, a service and a timer for systemd, a workflow for GitHub Actions.

The first two call `skewbench schedule run NAME --wait`, which is safe to issue at any time: it waits for this machine's lock, keeps the
log, and reads the job from the table, so that no secret stands in what is written here.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.errors import UserError, shown
from benchmark.jobs.cron import WEEKDAYS, Cron, parse_cron
from benchmark.jobs.table import Job

TARGETS = ("cron", "systemd", "github-actions")


def exported(job: Job, store: Path, target: str) -> dict[str, str]:
    """The files of a target by name. UserError where it cannot express the job."""
    make = {"cron": _cron, "systemd": _systemd, "github-actions": _github}[target]
    return make(job, store.resolve())


def _call(job: Job, store: Path) -> list[str]:
    return [sys.executable, "-m", "benchmark", "schedule", "run", job.name, "--wait", "--store", str(store)]


def _plain(text: str, what: str) -> str:
    """UserError for a text with a line break or another control character, which none of the formats can hold."""
    if any(not char.isprintable() for char in text):
        raise UserError(f"{what} {shown(text)} holds a character that cannot be printed: it cannot be exported.")
    return text


# -- cron


def _cron(job: Job, store: Path) -> dict[str, str]:
    """One line for crontab(5), where a `%` would end the command."""
    folder = _plain(job.folder, "the folder")
    command = _plain(shlex.join(_call(job, store)), "the command")
    line = f"cd {shlex.quote(folder)} && {_import_path()}{command}".replace("%", r"\%")
    note = (
        f"# skewbench {job.name}: install with `crontab -e`. cron goes by the machine's own time zone; the job was added in {job.timezone}."
    )
    return {f"skewbench-{job.name}.cron": f"{note}\n{parse_cron(job.cron).line} {line}\n"}


def _import_path() -> str:
    """From a checkout that is not installed, the package is found beside itself."""
    return f"PYTHONPATH={shlex.quote(str(Path(__file__).parents[2]))} "


# -- systemd


def _systemd(job: Job, store: Path) -> dict[str, str]:
    """A service that runs the job once and a timer that makes up for what was missed while the machine was off."""
    what = f"skewbench {'gate' if job.gate else 'run'} {_plain(job.suite, 'the suite')}"
    service = [
        "[Unit]",
        f"Description={_percent(what)}",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={_percent(_plain(job.folder, 'the folder'))}",
        f"Environment={_unit_word(f'PYTHONPATH={Path(__file__).parents[2]}')}",
        f"ExecStart={' '.join(_unit_word(_plain(word, 'the command')).replace('$', '$$') for word in _call(job, store))}",
        "# 3 regressed, 4 inconclusive: the check was made, and its verdict is told by the job's own outputs",
        "SuccessExitStatus=3 4",
        "Nice=5",
    ]
    timer = [
        "[Unit]",
        f"Description={_percent(f'when to run {what}')}",
        "[Timer]",
        *(f"OnCalendar={line}" for line in on_calendar(parse_cron(job.cron), job.timezone)),
        "Persistent=true",
        "RandomizedDelaySec=60",
        "[Install]",
        "WantedBy=timers.target",
    ]
    name = f"skewbench-{job.name}"
    return {f"{name}.service": "\n".join(service) + "\n", f"{name}.timer": "\n".join(timer) + "\n"}


def on_calendar(cron: Cron, timezone: str) -> list[str]:
    """The same times as systemd.time(7) writes them: one line, or two where either of two days is enough."""
    hours, minutes, months = (_listed(field, 2) for field in (cron.hours, cron.minutes, cron.months))
    lines = []
    for days, weekdays in cron.day_choices:
        week = "" if weekdays is None else ",".join(WEEKDAYS[day].capitalize() for day in weekdays) + " "
        lines.append(f"{week}*-{months}-{_listed(days, 2)} {hours}:{minutes}:00 {timezone}")
    return lines


def _listed(values: Sequence[int] | None, width: int) -> str:
    return "*" if values is None else ",".join(f"{value:0{width}d}" for value in values)


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _unit_word(text: str) -> str:
    """One word of a command or variable in a unit file: quoted, with systemd's own specifiers and escapes taken literally."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_percent(inner)}"'


# -- GitHub Actions

_CHECKOUT, _PYTHON, _CACHE, _UPLOAD = "actions/checkout@v4", "actions/setup-python@v5", "actions/cache@v4", "actions/upload-artifact@v4"
_STORE = "skewbench-results"
_MAIN = "github.event_name == 'schedule' || github.ref_name == github.event.repository.default_branch"
"""Whether the default branch is checked out: a schedule knows no other, and its event no repository."""
_CELLS = {"--set": 1, "--only": 1, "--seeds": 1, "--plugins": 1, "--yes": 0}
"""The options of `gate` that say which cells are meant, which `run` and `baseline accept` take, too; and how many values each has."""


def _github(job: Job, store: Path) -> dict[str, str]:  # noqa: ARG001  # a hosted runner has a store of its own
    """A workflow with the same times. GitHub's clock is UTC."""
    if job.timezone not in ("UTC", "Etc/UTC"):
        raise UserError(f"GitHub Actions goes by UTC, and the job '{job.name}' by {job.timezone}: add it with --timezone UTC.")
    steps = [
        _uses(_CHECKOUT),
        _uses(_PYTHON, {"python-version": "3.12", "cache": "pip"}),
        _run("Install", "pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu && pip install ."),
        _uses(_CACHE, {
            "path": _STORE,
            "key": f"skewbench/{job.name}/${{{{ github.run_id }}}}",
            "restore-keys": f"skewbench/{job.name}/",
        }),
        *(_gate_steps(job) if job.gate else [_run("Check", _skewbench("run", _within(job), *_JUNIT, *job.arguments))]),
        [*_uses(_UPLOAD, {"name": "skewbench", "path": "junit.xml"}), "        if: ${{ always() }}"],
    ]  # fmt: skip
    head = [
        "# A hosted runner is shared: its times say little. Check quality there, and time on a machine of your own (runs-on: self-hosted).",
        f"name: {_text(f'skewbench {job.name}')}",
        "on:",
        "  schedule:",
        f"    - cron: {_text(parse_cron(job.cron).line)}",
        "  workflow_dispatch:",
        "permissions:",
        "  contents: read",
        "concurrency:",
        f"  group: {_text(f'skewbench-{job.name}')}",
        "jobs:",
        "  check:",
        "    runs-on: ubuntu-latest",
        "    env:",
        f"      SKEWBENCH_STORE: {_STORE}",
        "      SKEWBENCH_WEBHOOK: ${{ secrets.SKEWBENCH_WEBHOOK }}",
        "    steps:",
    ]
    return {f"skewbench-{job.name}.yml": "\n".join([*head, *(line for step in steps for line in step)]) + "\n"}


_JUNIT = ("--junit", "junit.xml")


def _gate_steps(job: Job) -> list[list[str]]:
    """The check, and what makes the baseline that the next one compares with; the cache keeps both at the end of a job that went well."""
    suite, cells = _within(job), _picked(job.arguments, _CELLS)
    shown = _skewbench("baseline", "show", suite, "--name", job.against, *_picked(job.arguments, {"--plugins": 1}))
    check = [
        "code=0",
        f"{_skewbench('gate', suite, '--against', job.against, *_JUNIT, *job.arguments)} || code=$?",
        f'if [ "$code" = 2 ] && ! {shown}; then echo "::warning::no baseline yet"; echo "accept=yes" >> "$GITHUB_OUTPUT"; exit 0; fi',
        'if [ "$code" = 4 ]; then echo "::warning::inconclusive: see the summary"; exit 0; fi',
        'if [ "$code" = 0 ]; then echo "accept=yes" >> "$GITHUB_OUTPUT"; fi',
        'exit "$code"',
    ]
    accept = [
        _skewbench("run", suite, "--no-tracker", "--no-report", *cells),
        _skewbench("baseline", "accept", suite, "--name", job.against, "--timings", "0", "--no-tracker", *cells),
    ]
    condition = f"${{{{ steps.check.outputs.accept == 'yes' && ({_MAIN}) }}}}"
    return [
        [*_run("Check", "\n".join(check)), "        id: check"],
        [*_run("Accept on the default branch", "\n".join(accept)), f"        if: {_text(condition)}"],
    ]


def _skewbench(*words: str) -> str:
    """A command for a step's shell."""
    return _expressionless(_plain(shlex.join(["skewbench", *words]), "the command"))


def _picked(arguments: Sequence[str], options: Mapping[str, int]) -> list[str]:
    """Those of the arguments that belong to these options, each with its value."""
    found, values = [], 0
    for word in arguments:
        if values == 0 and word in options:
            values = options[word] + 1
        elif values == 0 and word.partition("=")[0] in options:
            values = 1
        found += [word] if values else []
        values = max(values - 1, 0)
    return found


def _within(job: Job) -> str:
    """The suite as it is called from the checkout, which is where the job was added."""
    path = Path(job.suite)
    return str(path.relative_to(job.folder)) if path.is_absolute() and path.is_relative_to(job.folder) else job.suite


def _uses(action: str, given: Mapping[str, str] | None = None) -> list[str]:
    inputs = [f"          {name}: {_text(value)}" for name, value in (given or {}).items()]
    return [f"      - uses: {action}", *(["        with:", *inputs] if inputs else [])]


def _run(name: str, command: str) -> list[str]:
    return [f"      - name: {_text(name)}", f"        run: {_text(command)}"]


def _text(value: str) -> str:
    """A JSON string is a YAML string too, whatever it holds."""
    return json.dumps(value)


def _expressionless(text: str) -> str:
    """Text in which GitHub finds no expression to evaluate."""
    return text.replace("${{", "${{ '${{' }}")
