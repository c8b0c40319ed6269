"""Where data sets are looked for and where caches are written: environment variables and their defaults."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.records import Folders

DATA_VARIABLE = "SKEWBENCH_DATA"
SYSTEM_DATA = Path("/usr/share/datasets")
"""Where Debian's package dataset-fashion-mnist puts `fashion-mnist/*.gz`."""


def default_folders(suite: Path | None = None) -> Folders:
    """Folders from the environment; `suite` is the suite's file or its folder.

    Data: each folder of SKEWBENCH_DATA (separated as in PATH), then `data` in the cache, then Debian's place.
    Cache: `$XDG_CACHE_HOME/skewbench`, by default `~/.cache/skewbench`.
    """
    cache = _cache_home() / "skewbench"
    named = [Path(part).expanduser().absolute() for part in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if part]
    folder = None if suite is None else (suite if suite.is_dir() else suite.parent).absolute()
    return Folders(data=tuple(dict.fromkeys([*named, cache / "data", SYSTEM_DATA])), cache=cache, suite=folder)


def _cache_home() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    # the XDG specification says to ignore a relative path
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"
