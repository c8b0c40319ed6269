"""What every test gets: a private cache, no settings from outside, one torch thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def private_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches in a temporary folder; the user's store, tracker and terminal have no say."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp().parent / "cache"))
    for name in ("SKEWBENCH_STORE", "MLFLOW_TRACKING_URI", "FORCE_COLOR"):
        patch.delenv(name, raising=False)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def ieee_floats() -> Iterator[None]:
    """Training flushes denormal numbers to zero, for the whole thread: hypothesis draws them in the tests that follow."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real data sets; skips, saying so, where there is none."""
    folder = os.environ.get("SKEWBENCH_DATA")
    if not folder:
        pytest.skip("SKEWBENCH_DATA is not set: no real data here")
    return Path(folder)
