"""optuna-dashboard on the studies, for this machine alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable

from benchmark.errors import UserError
from benchmark.tune.storage import close_storage, dashboard_url, open_storage, shown

_URL = "SKEWBENCH_STORAGE_URL"
_SCRIPT = f"import os, sys; sys.argv.insert(1, os.environ.pop('{_URL}')); from optuna_dashboard._cli import main; sys.exit(main())"
"""The URL may hold a password: it stands in no list of processes."""


def serve(url: str, port: int, say: Callable[[str], None]) -> int:
    """Run the dashboard until it is interrupted; its exit code. UserError where it is not installed or the storage cannot be opened."""
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise UserError("--dashboard needs optuna-dashboard: pip install 'skewbench[dashboard]'.")
    close_storage(open_storage(url))
    say(f"{shown(url)} on http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [sys.executable, "-c", _SCRIPT, "--host", "127.0.0.1", "--port", str(port)]
    try:
        return subprocess.run(command, check=False, env={**os.environ, _URL: dashboard_url(url)}).returncode
    except KeyboardInterrupt:
        return 0
