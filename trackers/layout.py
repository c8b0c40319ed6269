"""Two levels: an experiment holds a run per configuration, and under each one run per seed, linked both ways by tags."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.records import CellResult, SuiteResults
from trackers.artifacts import cell_files, configuration_files
from trackers.content import cell_content, configuration_content, content_digest
from trackers.location import redact
from trackers.names import MAX_TAG, cut

if TYPE_CHECKING:
    from trackers.runs import Runs


def has_run(cell: CellResult) -> bool:
    """Skipped cells and those that have not run yet get no run: there is nothing to browse."""
    return cell.status not in ("skipped", "missing")


def experiment_name(suite: str) -> str:
    return cut(f"skewbench/{suite}", 500)


def experiment_tags(results: SuiteResults) -> dict[str, str]:
    headline = ", ".join(metric.name for metric in results.metrics)
    note = (
        f"**{results.question}**\n\nA run of the upper level is one configuration: `<metric>.mean`, `.sd`, `.n` and `.ci95` (half-width of "
        f"the 95 % t interval) over its seeds, of {headline}. Under it stands one run per seed, with its curve, files and profile.\n\n"
        "`tags.bench.level = 'configuration'` shows the upper level alone; `tags.bench.current = 'true'` the seeds it rests on.\n\n"
        f"All of it follows from the local ledger. Command: `{redact(results.command) or 'skewbench sync'}`"
    )
    return {
        "mlflow.note.content": cut(note, MAX_TAG),
        "mlflow.experimentKind": "custom_model_development",  # keeps the UI from guessing another layout
        "bench.suite": results.name,
    }


def configurations(results: SuiteResults, wanted: Collection[str]) -> Iterator[list[CellResult]]:
    """The cells, skipped ones left out, of every configuration of which a cell is wanted."""
    groups: dict[str, list[CellResult]] = {cell.config_key: [] for cell in results.cells if cell.key in wanted}
    for cell in results.cells:
        if cell.config_key in groups and cell.status != "skipped":
            groups[cell.config_key].append(cell)
    yield from groups.values()


def write_configuration(runs: Runs, cells: Sequence[CellResult], wanted: Collection[str], *, headline: Sequence[str]) -> dict[str, str]:
    """Write the wanted cells and the run over them, which is closed last: cell key -> run id. `cells`: all planned ones of it."""
    ended = [cell for cell in cells if has_run(cell)]
    key, content = ended[0].config_key, configuration_content(ended, planned=len(cells), headline=headline)
    parent = runs.find("bench.config_key", key) or runs.open(key, content)
    before = _children(parent.children)
    now: dict[str, str] = {}
    written: dict[str, str] = {}
    for cell in ended:
        if cell.key in wanted:
            written[cell.key] = now[str(cell.seed)] = _write_cell(runs, cell, parent.run_id)
    for seed in now.keys() & before.keys():
        if now[seed] != before[seed]:
            runs.retire(before[seed])
    children = {**before, **now}
    content = replace(content, tags={**content.tags, **_children_tag(children)})
    is_whole = len(ended) == len(cells) and all(str(cell.seed) in children for cell in ended)
    runs.fill(key, parent, content, digest=content_digest(content), files=lambda: configuration_files(ended) if is_whole else {})
    return written


def _write_cell(runs: Runs, cell: CellResult, parent_id: str) -> str:
    content = cell_content(cell)
    links = {"mlflow.parentRunId": parent_id, "bench.parent": parent_id}
    content = replace(content, tags={**content.tags, **links})
    standing = runs.find("bench.cell_key", cell.key) or runs.open(cell.key, content)
    runs.fill(cell.key, standing, content, digest=content_digest(content), files=lambda: cell_files(cell))
    return standing.run_id


def _children(text: str) -> dict[str, str]:
    return {str(seed): str(run_id) for seed, run_id in json.loads(text or "{}").items()}


def _children_tag(children: Mapping[str, str]) -> dict[str, str]:
    """Seed -> run id as JSON; no tag where that is too long for one: the children name their parent all the same."""
    text = json.dumps({seed: children[seed] for seed in sorted(children, key=int)})
    return {"bench.children": text} if len(text) <= MAX_TAG else {}
