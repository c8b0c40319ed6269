"""`skewbench list` and `show`: what there is."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark import registry
from benchmark.cli.console import print_json, print_table
from benchmark.cli.session import load_plugins, plugins_option
from benchmark.errors import UserError, unknown
from benchmark.registry import Plugin, plain
from benchmark.spec import read_suite, shipped


@click.command("list")
@click.argument("what", required=False, type=click.Choice([*registry.KINDS, "suites"]))
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_names(what: str | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """List plug-ins of a kind, or the shipped suites; everything if WHAT is left out."""
    load_plugins(plugins)
    found = {kind: _described(kind) for kind in ([what] if what else ["suites", *registry.KINDS])}
    if as_json:
        print_json(found)
        return
    for kind, entries in found.items():
        print_table(kind, ["name", "what it is"], list(entries.items()), prose=True)


def _described(kind: str) -> dict[str, str]:
    if kind == "suites":
        return {name: read_suite(name).question for name in sorted(shipped())}
    return {name: _first_line(registry.get(kind, name)) for name in registry.names(kind)}


def _first_line(cls: type[Plugin]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


@click.command()
@click.argument("name")
@plugins_option
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(name: str, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Show one plug-in: what it does, its parameters with defaults and ranges, its source. NAME, or KIND/NAME if two share it."""
    load_plugins(plugins)
    kind, _, short = name.rpartition("/")
    kinds = [kind] if kind else list(registry.KINDS)
    found = [(k, registry.get(k, short)) for k in kinds if short in registry.names(k)]
    if not found:
        raise UserError(unknown("plug-in", name, [n for k in registry.KINDS for n in registry.names(k)]))
    entries = [_entry(kind, cls) for kind, cls in found]
    if as_json:
        print_json(entries)
        return
    for (kind, cls), entry in zip(found, entries, strict=True):
        click.echo(f"{kind}/{short}\n\n{inspect.getdoc(cls)}\n")
        click.echo(f"Source: {cls.source or 'none given'}\nFile:   {entry['file']}")
        print_table("", ["parameter", "type", "default", "range", "what it is"], _parameter_rows(cls), prose=True)


def _entry(kind: str, cls: type[Plugin]) -> dict[str, object]:
    header = ("parameter", "type", "default", "range", "doc")
    parameters = [dict(zip(header, row, strict=True)) for row in _parameter_rows(cls)]
    doc = inspect.getdoc(cls)
    return {"kind": kind, "name": cls.name, "doc": doc, "source": cls.source, "file": inspect.getfile(cls), "parameters": parameters}


def _parameter_rows(cls: type[Plugin]) -> Sequence[Sequence[str]]:
    rows = []
    for item in dataclasses.fields(cls):
        default = "required" if item.default is dataclasses.MISSING else json.dumps(plain(item.default))
        words = (item.type.__name__ if type(item.type) is type else str(item.type)).replace("None", "none")  # list[int] is no `type`
        rows.append([item.name, words, default, _range(item.metadata), str(item.metadata.get("doc", ""))])
    return rows


def _range(meta: object) -> str:
    assert isinstance(meta, dict) or hasattr(meta, "get")
    found = dict(meta)  # type: ignore[call-overload]  # a mapping proxy
    if "choices" in found:
        return " | ".join(map(str, found["choices"]))
    low = f"≥ {found['low']:g}" if "low" in found else f"> {found['above']:g}" if "above" in found else ""
    high = f"≤ {found['high']:g}" if "high" in found else ""
    return ", ".join(text for text in (low, high) if text)
