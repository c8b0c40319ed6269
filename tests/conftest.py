"""What every test gets: a private cache, no settings from outside, one torch thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.postgres import new_database, postgres, postgres_url

__all__ = ["new_database", "postgres", "postgres_url"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
hypothesis.settings.register_profile("any machine", deadline=None)  # a busy machine is no defect
hypothesis.settings.load_profile("any machine")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background job; children that tests interrupt would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def private_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches in a temporary folder; the user's store, tracker and terminal have no say."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp().parent / "cache"))
    patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))  # a process's own: its lock lets one job run on a machine
    for name in ("SKEWBENCH_STORE", "MLFLOW_TRACKING_URI", "FORCE_COLOR", "GITHUB_STEP_SUMMARY", "SKEWBENCH_WEBHOOK"):
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


@pytest.fixture(scope="session")
def empty_tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: making one takes seconds, copying it (`tests.tracked.copied`) nothing."""
    from trackers.mlflow_store import MlflowStore

    folder = tmp_path_factory.mktemp("empty-tracker")
    MlflowStore(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    return folder / "mlflow.db"


@pytest.fixture
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of the size that a test names: `parametrize("small_disk", ["4m"], indirect=True)`; skips where none can be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no small file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
