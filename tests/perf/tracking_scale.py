"""22,500 cells to MLflow on SQLite: `python tests/perf/tracking_scale.py [FOLDER]`. Runs a second, and a page of the UI's table.

About ten minutes on two cores, most of them for the writing; a FOLDER that `generate.py` has filled spares two. Runs a second are those of
`skewbench sync`, from the command to its end; the page is what the browser asks of a server that runs: 100 runs, newest first, and ten
pages further, and a search by a tag and by a metric.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generate import generate
from paired import machine, report

ASKED = {
    "first page": {},
    "by tag": {"filter": "tags.`bench.level` = 'configuration'"},
    "by metric, ordered": {"filter": "metrics.`test/auc` > 0.9", "order_by": ["metrics.`test/auc` DESC"]},
    "data set and ratio": {"filter": "tags.`bench.dataset` = 'digits' AND metrics.`data/imbalance_ratio` >= 10"},
}


def main(folder: Path) -> None:
    file = folder / "scale.yaml"
    if not file.exists():
        generate(folder)
    store = folder / "store"
    for old in store.glob("*.db*"):
        old.unlink()
    begun = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-m", "benchmark", "sync", str(file), "--store", str(store), "--json"], check=True, capture_output=True, text=True
    ).stdout
    taken = time.perf_counter() - begun
    written = int(json.loads(told)["written"])
    size = (store / "mlflow.db").stat().st_size / 2**20
    sync = {
        "name": "sync of generated cells",
        "cells": written,
        "seconds": taken,
        "cells_per_second": written / taken,
        "database_mib": size,
    }
    report({**sync, **machine()}, {"name": "pages of 100 runs, seconds", **pages(store)})


def pages(store: Path) -> dict[str, float]:
    """The slower of two askings each, in seconds, from a server on the store."""
    with served(store) as url:
        experiment = asked(url, "experiments/get-by-name?experiment_name=skewbench/scale")["experiment"]["experiment_id"]
        found = {}
        for name, what in ASKED.items():
            times = []
            for _ in range(2):
                begun = time.perf_counter()
                answer = asked(url, "runs/search", {"experiment_ids": [experiment], "max_results": 100, **what})
                times.append(time.perf_counter() - begun)
            assert len(answer["runs"]) == 100, name
            found[name] = max(times)
        return found


def asked(url: str, path: str, body: object = None) -> dict[str, object]:
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/{path}", data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.load(answer))


@contextmanager
def served(store: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{store.resolve()}/mlflow.db", "--workers", "1"]
    with subprocess.Popen([*command, "--port", str(port)], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/health", timeout=2).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield url
        finally:
            server.terminate()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
