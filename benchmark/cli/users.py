"""`skewbench new`, `check` and `fetch`: users' own data and code."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark import registry
from benchmark.cli.console import print_json
from benchmark.errors import UserError
from benchmark.language.parents import shipped
from benchmark.places import default_folders


@click.command()
@click.argument("name")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False), help="An image folder: a folder per class."
)
@click.option("--force", is_flag=True, help="Overwrite NAME.yaml if it is there; take the name of a shipped suite.")
def new(name: str, data: Path, force: bool) -> None:
    """Look at an image folder and write NAME.yaml, a commented suite on it that runs as it is."""
    from benchmark.scaffold import inspect_folder, suite_text

    name = name.removesuffix(".yaml").removesuffix(".yml")
    target = Path(f"{name}.yaml")
    if name in shipped() and not force:
        raise UserError(f"'{name}' is the name of a shipped suite, which `skewbench run {name}` would run: choose another, or --force.")
    if target.exists() and not force:
        raise UserError(f"{target} is there already: choose another name, or --force to overwrite it.")
    found = inspect_folder(data)
    text = suite_text(name, found)
    target.write_text(text, encoding="utf-8")
    click.echo(found.text())
    click.echo(f"Wrote {target}. {found.warning or f'Next: skewbench plan {target}; skewbench run {target}'}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--json", "as_json", is_flag=True, help="Print the problems of each plug-in as JSON.")
def check(path: Path, as_json: bool) -> None:
    """Run the contract tests on the plug-ins in PATH (a file or a folder) and say in plain words what is wrong."""
    from benchmark.contracts import check as problems_of

    found = registry.load_folder(path)
    if not found:
        raise UserError(f'{path} declares no plug-in: mark a class with @plugin("name") from benchmark.registry.')
    told = {}
    for cls in found:
        name = f"{cls.kind}/{cls.name}"
        told[name] = problems = problems_of(cls)
        if not as_json:
            click.echo("\n  - ".join([f"{name}: " + (f"{len(problems)} problem(s)" if problems else "ok"), *problems]))
    if as_json:
        print_json(told)
    if any(told.values()):
        raise SystemExit(1)


@click.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download a data set (mnist, fashion-mnist, cifar10) with torchvision into the first data folder."""
    from benchmark.fetch import fetch as download

    click.echo(f"{name}: {download(name, default_folders(None))}")
