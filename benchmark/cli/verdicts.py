"""A verdict for people."""

from __future__ import annotations

import math

import click

from benchmark.cli.console import print_lines
from benchmark.gate.verdict import Change, ConfigurationVerdict, GateVerdict, Judgement

SHOWN = 20
"""Changes and problems that are listed; the rest is counted."""


def print_verdict(verdict: GateVerdict) -> None:
    """A line per judgement, then what could not be measured, what changed, and how to run the worst cell again."""
    rows = [_row(each.name, judgement) for each in verdict.configurations for judgement in each.judgements]
    rows += [_row("all together", judgement) for judgement in verdict.overall]
    print_lines(["configuration", "metric", "baseline", "now", "loss", "margin", "p", "verdict", "by"], rows)
    _list("Inconclusive", _open(verdict))
    _list("Could not measure", list(verdict.problems))
    _list("Improved", list(verdict.improvements))
    _list("New, not in the baseline", list(verdict.new))
    _list("What changed since the baseline", [_change(each) for each in verdict.changes])
    worst = next((each for each in verdict.configurations if each.outcome == "regressed"), None)
    command = _worst_cell(worst) if worst else ""
    if command:
        click.echo(f"Run the worst cell again:  {command}")
    click.echo(f"{verdict.suite} against '{verdict.baseline}': {verdict.summary}")


def _open(verdict: GateVerdict) -> list[str]:
    """What would decide, each answer once, with all that it is about."""
    named = [(each.name, judgement) for each in verdict.configurations for judgement in each.judgements]
    found: dict[str, list[str]] = {}
    for name, judgement in [*named, *(("all together", judgement) for judgement in verdict.overall)]:
        if judgement.outcome == "inconclusive":
            found.setdefault(judgement.note, []).append(f"{judgement.metric} of {name}")
    return [f"{', '.join(names)}: {note}" for note, names in found.items()]


def _row(name: str, judgement: Judgement) -> list[str]:
    of_share = judgement.measure != "quality"
    outcome = "improved" if judgement.improved else judgement.outcome
    values = [_number(judgement.before), _number(judgement.after)]
    loss = "–" if math.isnan(judgement.loss) else f"{judgement.loss:+.1%}" if of_share else f"{judgement.loss:+.4f}"
    margin = f"{judgement.margin:.0%}" if of_share else f"{judgement.margin:g}"
    return [name, judgement.metric, *values, loss.replace("-", "−"), margin, _number(judgement.p, "{:.2g}"), outcome, judgement.test]


def _number(value: float, shape: str = "{:.4g}") -> str:
    return "–" if math.isnan(value) else shape.format(value)


def _worst_cell(found: ConfigurationVerdict) -> str:
    """The command of the seed that lost most."""
    losses = {cell.command: max((j.loss for j in cell.judgements if j.loss == j.loss), default=-math.inf) for cell in found.cells}
    return max(losses, key=lambda command: losses[command], default="")


def _change(change: Change) -> str:
    before, after = (
        value[:12] if change.kind in ("code", "data") and value else value or "absent" for value in (change.before, change.after)
    )
    return f"{change.kind} {change.name}: {before} → {after}"


def _list(title: str, lines: list[str]) -> None:
    if lines:
        rest = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        click.echo("\n  ".join([f"{title}:", *lines[:SHOWN], *rest]))
