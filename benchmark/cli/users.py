"""`skewbench new`, `check` and `fetch`: users' own data and code."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark import registry
from benchmark.errors import UserError
from benchmark.places import default_folders


@click.command()
@click.argument("name")
@click.option(
    "--data", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False), help="An image folder: a folder per class."
)
@click.option("--force", is_flag=True, help="Overwrite NAME.yaml if it is there.")
def new(name: str, data: Path, force: bool) -> None:
    """Look at an image folder and write NAME.yaml, a commented suite on it that runs as it is."""
    from benchmark.scaffold import inspect_folder, suite_text

    target = Path(f"{name}.yaml")
    if target.exists() and not force:
        raise UserError(f"{target} is there already: choose another name, or --force to overwrite it.")
    found = inspect_folder(data)
    text = suite_text(name, found)
    target.write_text(text, encoding="utf-8")
    click.echo(found.text())
    click.echo(f"Wrote {target}. Next: skewbench plan {target}; skewbench run {target}")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, resolve_path=True))
def check(path: Path) -> None:
    """Run the contract tests on the plug-ins in PATH (a file or a folder) and say in plain words what is wrong."""
    from benchmark.contracts import check as problems_of

    found = registry.load_folder(path)
    if not found:
        raise UserError(f'{path} declares no plug-in: mark a class with @plugin("name") from benchmark.registry.')
    bad = 0
    for cls in found:
        problems = problems_of(cls)
        bad += bool(problems)
        click.echo(f"{cls.kind}/{cls.name}: " + ("ok" if not problems else f"{len(problems)} problem(s)"))
        for problem in problems:
            click.echo(f"  - {problem}")
    if bad:
        raise SystemExit(1)


@click.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download a data set (mnist, fashion-mnist, cifar10) with torchvision into the first data folder."""
    from benchmark.fetch import fetch as download

    click.echo(f"{name}: {download(name, default_folders(None))}")
