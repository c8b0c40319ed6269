"""Finding a data set's files among the data roots, and the error that says where they were looked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from benchmark.errors import DataError


def find(folder: Path, names: Sequence[str], *, endings: Sequence[str] = ("",)) -> list[Path]:
    """The first existing `folder/name+ending` of each name; shorter than `names` where some are missing."""
    candidates = ([folder / f"{name}{ending}" for ending in endings] for name in names)
    return [found for files in candidates if (found := next((file for file in files if file.is_file()), None)) is not None]


def missing_files(folder: Path, names: Sequence[str], found: Sequence[Path]) -> str:
    """The place as it stands in the error: with what it lacks if only a part is there."""
    have = {file.name.removesuffix(".gz") for file in found}
    lacking = [name for name in names if name not in have]
    return f"{folder} (found {len(found)} of {len(names)} files, no {', '.join(lacking)})" if found else str(folder)


def absent(name: str, *, searched: Sequence[str], files: str) -> NoReturn:
    """Raise the DataError of a data set that is nowhere: every place, and the two ways to get it."""
    places = "".join(f"\n  - {place}" for place in searched)
    raise DataError(
        f"data set '{name}' was not found. Looked in:{places or ' no folder at all'}\n"
        f"Either run `skewbench fetch {name}` (downloads it, needs internet), or put {files} into one of these folders "
        "or set SKEWBENCH_DATA to the folder that holds such a folder."
    )
