"""`tune --apply`: the winners as a new suite that a person can read and keep under version control."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.cells import Configuration
from benchmark.errors import UserError
from benchmark.grid import expand
from benchmark.language.document import display, parse
from benchmark.language.keys import MAX_NAME
from benchmark.language.parents import extended
from benchmark.language.writing import entry_text, grid_of, grids_text
from benchmark.recipe import Recipe
from benchmark.spec import Suite, read_suite
from benchmark.studies import Study, Tuning
from benchmark.tune.settings import SECONDS
from benchmark.tune.winners import Winner, text_of

_REPLACED = ("suite", "grid", "defaults", "search", "select", "tuned_by", "seeds", "include")


def apply_winners(suite: Suite, winners: Sequence[Winner], untouched: Sequence[Winner], tuning: Tuning, file: Path) -> int:
    """Write the suite with each group at its winner, check it by reading it, and give the number of its cells.

    `untouched`: groups to which nothing of the space applied. UserError where the file is there, or a study has no winner.
    """
    if file.exists():
        raise UserError(f"--apply {file}: the file is there already. Name a new one, or remove it.")
    if file.suffix not in (".yaml", ".yml"):
        raise UserError(f"--apply {file}: a suite ends in .yaml.")
    without = [study.name for study in tuning.studies if study.winner is None]
    if without:
        raise UserError(f"--apply: no trial completed in {', '.join(without)}, so there is no winner to write.")
    text = _text(suite, winners, untouched, tuning)
    file.parent.mkdir(parents=True, exist_ok=True)
    waiting = file.with_name(f".{file.stem}.writing{file.suffix}")
    waiting.write_text(text, encoding="utf-8")
    try:
        number = _checked(waiting, [*winners, *untouched])
    except BaseException:
        waiting.unlink()
        raise
    waiting.rename(file)
    return number


def _text(suite: Suite, winners: Sequence[Winner], untouched: Sequence[Winner], tuning: Tuning) -> str:
    path = suite.path or Path(suite.name)
    root: Mapping[str, Any] = extended(parse(suite.text, source=str(path)), path).plain
    studies = {study.name: study for study in tuning.studies}
    stated = [item.name for item in dataclasses.fields(Recipe) if item.name in _stated(root)]
    seeds = list(suite.grids[0].seeds)
    plain_seeds = len(seeds) if seeds == list(range(len(seeds))) else seeds
    grids = [(_comment(studies[winner.study]), grid_of(config, stated=stated)) for winner in winners for config in _meant(winner)]
    grids += [("nothing was searched here", grid_of(config, stated=stated)) for winner in untouched for config in winner.group.bases]
    source = display(suite.path) if suite.path else suite.name
    head = [f"# {source} with what `skewbench tune` found: each grid below is one group of cells at its winner.\n"]
    head += [entry_text("suite", f"{suite.name}-tuned"[:MAX_NAME])]
    kept = [entry_text(key, value) for key, value in root.items() if key not in _REPLACED]
    over = _tuned_attributes([config for winner in winners for config in _meant(winner)], [study.space for study in tuning.studies])
    by = next(item.name for item in tuning.studies[0].objectives if item.name != SECONDS)
    select = [entry_text("select", {"by": f"validation.{by}", "over": over})] if over else []
    return "".join([*head, entry_text("seeds", plain_seeds), *kept, *select, grids_text(grids), _tuned_by(tuning)])


def _meant(winner: Winner) -> Sequence[Configuration]:
    """What the new suite has of a group: its bases where nothing was tuned."""
    return winner.tuned or winner.group.bases


def _tuned_attributes(configs: Sequence[Configuration], spaces: Sequence[Mapping[str, str]]) -> list[str]:
    """Searched attributes of model and recipe in which the winners differ: selecting over them puts methods side by side again."""
    paths = [path for space in spaces for path in space if not path.startswith("method.")]
    names = dict.fromkeys(name for config in configs for name in config.attributes)
    mine = [name for name in names if any(name == path or name.startswith(f"{path}.") for path in paths)]
    return [name for name in mine if len({repr(config.attributes.get(name)) for config in configs}) > 1]


def _stated(root: Mapping[str, Any]) -> set[str]:
    """Entries of the recipe that stand outside the grids and would otherwise be taken."""
    recipe = root.get("recipe")
    return set(recipe) - {"iterations", "epochs"} if isinstance(recipe, Mapping) else set()


def _comment(study: Study) -> str:
    winner = study.winner
    assert winner is not None
    values = ", ".join(f"validation {item.name} {value:.4g}" for item, value in zip(study.objectives, winner.values, strict=True))
    return f"trial {winner.number} of {len(study.trials)}: {values}"


def _tuned_by(tuning: Tuning) -> str:
    studies = [
        {
            "study": study.name,
            "trial": study.winner.number,
            "values": {item.name: value for item, value in zip(study.objectives, study.winner.values, strict=True)},
            "params": dict(study.winner.params),
        }
        for study in tuning.studies
        if study.winner is not None
    ]
    first = tuning.studies[0]
    how = {"command": tuning.command, "storage": first.storage, "optuna": first.optuna, "sampler": first.sampler, "pruner": first.pruner}
    return entry_text("tuned_by", {**how, "studies": studies})


def _checked(file: Path, winners: Sequence[Winner]) -> int:
    """Number of cells of the suite as written; it must have every winner's configuration."""
    cells = expand(read_suite(str(file)))
    found = {text_of(cell.config) for cell in cells}
    wanted = [config for winner in winners for config in _meant(winner)]
    missing = [config.method.name for config in wanted if text_of(config) not in found]
    assert not missing, f"the suite as written lacks the winners of {', '.join(missing)}"
    return len(cells)
