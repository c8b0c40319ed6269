"""`skewbench merge`: bring the stores of shards or machines together."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.cli.session import store_option
from benchmark.merge import merge as merge_stores


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@store_option
@click.pass_context
def merge(context: click.Context, stores: tuple[Path, ...], store: Path) -> None:
    """Copy what STORES hold into one store (`--store`), as after `run --shard 1/3`, `2/3` and `3/3`.

    Doing it again changes nothing. Exit code 1 if something could not be taken over.
    """
    done = merge_stores(store, stores)
    for problem in done.problems:
        click.echo(f"skewbench: {problem}", err=True)
    told = ", ".join(f"{number} {what}" for what, number in sorted(done.counts.items()))
    click.echo(f"{store}: {told or 'nothing to merge'}")
    if done.problems:
        context.exit(1)
