"""Two levels: an experiment holds a run per configuration, and under each one run per seed, linked both ways by tags."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmark.records import CellResult, SuiteResults
from trackers.artifacts import cell_files, configuration_files
from trackers.content import (
    Shown,
    cell_content,
    cell_digest,
    configuration_content,
    content_digest,
    running_configuration,
    running_content,
)
from trackers.names import MAX_TAG

if TYPE_CHECKING:
    from trackers.extras import Extras
    from trackers.runs import Runs


def has_run(cell: CellResult) -> bool:
    """Cells that have not run yet get no run: there is nothing to browse. Those that a rule skips have one that says so."""
    return cell.status != "missing"


def shown_of(results: SuiteResults) -> Shown:
    """What decides, beyond a cell itself, what its run shows."""
    claims: dict[str, tuple[str, ...]] = {}
    for claim in results.claims:
        for key in claim.about:
            claims[key] = (*claims.get(key, ()), claim.id)
    return Shown(tuple(metric.name for metric in results.metrics), tuple(results.show_per_class), claims)


def configurations(results: SuiteResults, wanted: Collection[str]) -> Iterator[list[CellResult]]:
    """The cells of every configuration of which a cell is wanted, skipped ones last.

    A skipped cell has a key of its own kind (its data was never looked at): it stands with those that it differs from in the seed alone.
    """
    homes = {_words(cell): cell.config_key for cell in results.cells if cell.status != "skipped"}
    groups: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        home = cell.config_key if cell.status != "skipped" else homes.get(_words(cell), cell.config_key)
        groups.setdefault(home, []).append(cell)
    for cells in groups.values():
        if any(cell.key in wanted for cell in cells):
            yield sorted(cells, key=lambda cell: cell.status == "skipped")


def _words(cell: CellResult) -> str:
    return repr(sorted(cell.attributes.items(), key=lambda item: item[0]))


def write_configuration(
    runs: Runs, cells: Sequence[CellResult], wanted: Collection[str], shown: Shown, extras: Extras | None = None
) -> dict[str, str]:
    """Write the wanted cells and the run over them, which is closed last: cell key -> run id. `cells`: all planned ones of it."""
    ended = [cell for cell in cells if has_run(cell)]
    key, content = ended[0].config_key, configuration_content(ended, shown, planned=len(cells))
    parent = runs.find("configuration", key) or runs.open(key, content)
    files = runs.soon(parent, partial(configuration_files, ended)) if len(ended) == len(cells) else dict
    before = _children(parent.children)
    written: dict[str, str] = {}
    now: dict[str, str] = {}
    for cell in ended:
        if cell.key in wanted:
            written[cell.key] = now[str(cell.seed)] = _write_cell(runs, cell, parent.run_id, shown, extras)
    for seed in now.keys() & before.keys():
        if now[seed] != before[seed]:
            runs.retire(before[seed])
    children = {**before, **now}
    content = replace(content, tags={**content.tags, **_children_tag(children)})
    is_whole = len(ended) == len(cells) and all(str(cell.seed) in children for cell in ended)
    digest = content_digest(content, *map(cell_digest, ended), is_whole)
    runs.fill(key, parent, content, digest=digest, files=files if is_whole else dict)
    return written


def begin_cell(runs: Runs, cell: CellResult, since: float, shown: Shown) -> tuple[str, set[int]]:
    """The run of a cell at work since then, opened where it is not: its id, and the steps of its curve that it has; no id if finished."""
    parent_content = running_configuration(cell, since, shown)
    parent = runs.find("configuration", cell.config_key) or runs.open(cell.config_key, parent_content)
    content = running_content(cell, since, shown)
    content = replace(content, tags={**content.tags, "mlflow.parentRunId": parent.run_id, "bench.parent": parent.run_id})
    standing = runs.find("cell", cell.key)
    if standing is None:
        return runs.open(cell.key, content).run_id, set()
    return ("", set()) if standing.digest else (standing.run_id, runs.go_on(standing))


def _write_cell(runs: Runs, cell: CellResult, parent_id: str, shown: Shown, extras: Extras | None) -> str:
    content = cell_content(cell, shown)
    links = {"mlflow.parentRunId": parent_id, "bench.parent": parent_id}
    content = replace(content, tags={**content.tags, **links})
    names = extras.of(cell) if extras else ()
    digest = " ".join([content_digest(content, cell_digest(cell)), *names])
    standing = runs.find("cell", cell.key) or runs.open(cell.key, content, now="models" in names)
    if extras and extras.model is not None and names:
        runs.log_model(standing, digest, extras.model(cell))
    runs.fill(cell.key, standing, content, digest=digest, files=lambda: {**cell_files(cell), **(extras.files(cell) if extras else {})})
    return standing.run_id


def _children(text: str) -> dict[str, str]:
    return {str(seed): str(run_id) for seed, run_id in json.loads(text or "{}").items()}


def _children_tag(children: Mapping[str, str]) -> dict[str, str]:
    """Seed -> run id as JSON; no tag where that is too long for one: the children name their parent all the same."""
    text = json.dumps({seed: children[seed] for seed in sorted(children, key=int)})
    return {"bench.children": text} if len(text) <= MAX_TAG else {}
