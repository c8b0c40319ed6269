"""Which verb is where. A verb's module is imported when the verb is meant: `skewbench plan` need not read what `tune` needs."""

from __future__ import annotations

import importlib
from typing import Any

import click

VERBS = {
    "run": "running:run",
    "plan": "planning:plan",
    "tune": "tuning:tune",
    "report": "reporting:report",
    "gate": "gating:gate",
    "baseline": "baselines:baseline",
    "bisect": "bisecting:bisect_",
    "history": "history:history",
    "schedule": "schedule:schedule",
    "ui": "browse:ui",
    "serve": "serving:serve",
    "sync": "syncing:sync",
    "pull": "pulling:pull",
    "status": "status:status",
    "explain": "planning:explain",
    "validate": "planning:validate",
    "list": "lists:list_names",
    "show": "lists:show",
    "new": "users:new",
    "check": "users:check",
    "fetch": "users:fetch",
    "merge": "cluster:merge",
    "doctor": "doctor:doctor",
}
"""Module within this package and name, by verb."""


class Verbs(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's contract
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name].partition(":")
        found: Any = getattr(importlib.import_module(f"benchmark.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found
