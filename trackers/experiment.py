"""The experiment of a suite: its name, its description, and the searches that people want."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.identity import as_number
from benchmark.records import CellResult, SuiteResults
from trackers.content import CONTEXT
from trackers.location import redact
from trackers.names import MAX_TAG, cut, metric_key, result_key, value_text


@dataclass(frozen=True)
class Search:
    """A search that works in the UI's search box."""

    what: str
    text: str


def experiment_name(suite: str) -> str:
    return cut(f"skewbench/{suite}", 500)


def experiment_tags(results: SuiteResults) -> dict[str, str]:
    """The description is written when the experiment is made and whenever its suite changes."""
    return {
        "mlflow.note.content": cut(_description(results), MAX_TAG),
        "mlflow.experimentKind": "custom_model_development",  # keeps the UI from guessing another layout
        "bench.suite": results.name,
    }


def _description(results: SuiteResults) -> str:
    headline = ", ".join(f"`{result_key(metric.name)}`" for metric in results.metrics)
    searches = "\n".join(f"| {search.what} | `{search.text}` |" for search in searches_of(results))
    return redact(
        f"**{results.question}**\n\n"
        "**How to read it.** A run of the upper level is one configuration: `<metric>.mean`, `.sd`, `.n` and `.ci95` (half-width of the "
        f"95 % t interval) over its seeds, of {headline}. Under it stands one run per seed with its curve, files and profile. The run "
        f"*suite {results.name}* holds the suite file, claims with their verdicts, published numbers and the environment. FAILED is a "
        "cell's own doing; KILLED was stopped: by a limit, from outside, or by a rule of the suite (the reason is in the description).\n\n"
        "**Searches** (paste one into the search box):\n\n"
        f"| what | search |\n|---|---|\n{searches}\n\n"
        "To average over seeds yourself: show the seeds only, then *Group by* `params.method`.\n\n"
        f"All of it follows from the store. Tables and intervals: `skewbench report {results.name}`; this experiment as a store: "
        f"`skewbench pull {results.name} --store NEW`. Command: `{results.command or 'skewbench sync'}`"
    )


def searches_of(results: SuiteResults) -> list[Search]:
    """By data set, ratio, method, model, claim, status, code version and host, with values that this suite has."""
    return list(_searches(results))


def _searches(results: SuiteResults) -> Iterator[Search]:
    yield Search("configurations only", "tags.`bench.level` = 'configuration'")
    yield Search("seeds only, as they are now", "tags.`bench.level` = 'cell' AND tags.`bench.current` = 'true'")
    cell = next((each for each in results.cells if each.status not in ("missing", "skipped")), None)
    if cell is None:
        return
    for axis in ("dataset", "method", "model"):
        yield Search(f"by {axis}", f"tags.`bench.{axis}` = {_literal(value_text(cell.attributes.get(axis)))}")
    yield from _by_ratio(results, cell)
    main = result_key(results.metrics[0].name) if results.metrics else ""
    if main:
        yield Search("configurations that score high", f"tags.`bench.level` = 'configuration' AND metrics.`{main}.mean` > 0.9")
    yield Search("what did not end well", "attributes.status != 'FINISHED' AND tags.`bench.level` = 'cell'")
    yield Search("by status", f"tags.`bench.status` = '{cell.status}'")
    claims = [claim for claim in results.claims if claim.about]
    if claims:
        yield Search(f"what claim {claims[0].id} compares", f"tags.`bench.claims` LIKE {_literal(f'%[{claims[0].id}]%')}")
    for name in CONTEXT:
        if cell.context.get(name) is not None:
            yield Search(f"by {name.replace('_', ' ')}", f"tags.`bench.{name}` = {_literal(redact(str(cell.context[name])))}")


def _by_ratio(results: SuiteResults, cell: CellResult) -> Iterator[Search]:
    """Parameters are texts to MLflow, so `larger than` needs a metric."""
    if cell.class_counts:
        yield Search("imbalance ratio of 10 or more", "metrics.`data/imbalance_ratio` >= 10")
    with_ratio = next((each for each in results.cells if isinstance(each.attributes.get("imbalance.ratio"), int | float)), None)
    if with_ratio is not None:
        ratio = as_number(float(with_ratio.attributes["imbalance.ratio"] or 0))
        yield Search("by ratio ρ", f"params.`{metric_key('imbalance.ratio')}` = '{value_text(ratio)}'")


def _literal(text: str) -> str:
    """As a search takes it: in whichever quotes the text does not hold."""
    return f'"{text}"' if "'" in text else f"'{text}'"
