"""`skewbench doctor`: this machine, what it is measured to do best, and whether what is needed is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from benchmark import registry
from benchmark.cli.console import print_json, print_table
from benchmark.cli.session import default_store, store_option
from benchmark.datasets import Dataset
from benchmark.errors import DataError, UserError
from benchmark.execution import Layout, default_layout, measure_layout
from benchmark.gpus import visible_gpus
from benchmark.machine import Measurements
from benchmark.places import DATA_VARIABLE, default_folders
from benchmark.records import Folders
from benchmark.tasks import Execution

LEAST_DISK_MIB = 500


@click.command()
@click.option("--measure", is_flag=True, help="Measure workers and threads (again): some ten seconds on a machine that is idle.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@store_option
@click.pass_context
def doctor(context: click.Context, measure: bool, as_json: bool, store: Any) -> None:
    """Show this machine, its data, and how it computes best; exit code 1 if something that is needed is missing."""
    folders = default_folders()
    measurements = Measurements.load(folders.cache)
    if measure:
        click.echo("measuring workers and threads ...", err=True)
        measurements.content.pop("execution", None)
        measure_layout(measurements)
    found = _found(measurements, folders, store)
    if as_json:
        print_json(found)
    else:
        _print(found, default_layout(measurements))
    if found["problems"]:
        context.exit(1)


def _found(measurements: Measurements, folders: Folders, store: Any) -> dict[str, Any]:
    free = shutil.disk_usage(_existing(os.path.abspath(store))).free // 2**20
    problems = [f"only {free} MiB are free for the store {store}"] if free < LEAST_DISK_MIB else []
    problems += [f"the cache {folders.cache} cannot be written"] if not os.access(_existing(str(folders.cache)), os.W_OK) else []
    problems += [f"the store {store} cannot be written"] if not os.access(_existing(os.path.abspath(store)), os.W_OK) else []
    return {
        "machine": {**measurements.machine, "compiler": shutil.which("c++") or "none", "free_disk_mib": free},
        "gpus": [asdict(gpu) for gpu in visible_gpus()],
        "store": str(store or default_store()),
        "data": _data(folders),
        "layout": asdict(default_layout(measurements)),
        "executions": list(measurements.content.get("execution", {}).values()),
        "problems": problems,
    }


def _existing(path: str) -> str:
    """The path, or the nearest folder above it that is there."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _data(folders: Folders) -> dict[str, str]:
    """Which data sets that need no parameter are found."""
    found = {}
    for name in registry.names("datasets"):
        try:
            dataset = registry.build("datasets", name)
            assert isinstance(dataset, Dataset)
            dataset.info(folders)
            found[name] = "found"
        except DataError:
            found[name] = f"not found (${DATA_VARIABLE}, or `skewbench fetch {name}`)"
        except UserError:  # it needs to be told a folder
            continue
    return found


def _print(found: Mapping[str, Any], layout: Layout) -> None:
    rows = [[name.replace("_", " "), str(value)] for name, value in found["machine"].items()]
    rows += [[f"GPU {gpu['index']}", f"{gpu['name']}, {gpu['total_mib']:.0f} MiB"] for gpu in found["gpus"]] or [["GPU", "none"]]
    rows += [["store", found["store"]], *([f"data: {name}", state] for name, state in found["data"].items())]
    print_table("this machine", ["what", "found"], rows, prose=True)
    rates = [[name, f"{rate:.0f}"] for name, rate in layout.measured.items()] or [["not measured", "–"]]
    click.echo(f"Workers x threads: {layout.workers} x {layout.threads} ({layout.why})")
    print_table("", ["workers x threads", "images/s"], rates)
    for choice in found["executions"]:
        click.echo(f"{choice['what']}: {Execution(**choice['execution']).words}, regret {choice['regret']:.3f}")
        print_table("", *_candidates(choice))
    for problem in found["problems"]:
        click.echo(f"problem: {problem}", err=True)


def _candidates(choice: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    header = ["execution profile", "ms per step", "difference", "first step s"]
    rows = [
        [
            Execution(**each["execution"]).words,
            f"{1000 * each['seconds_per_step']:.2f}",
            f"{each['difference']:.1e}",
            f"{each['first_seconds']:.2f}",
        ]
        for each in choice["candidates"]
    ]
    return header, rows
