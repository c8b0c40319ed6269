"""The engine on Ray: a real cluster of two nodes on this host, one of which dies in the middle of a suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import small
from test_run import contents

from benchmark.errors import UserError
from benchmark.execute import cluster
from benchmark.places import default_folders
from benchmark.tasks import Limits, Slot

TESTS = Path(__file__).parent

RUN = """
import sys, pathlib, threading, time
sys.path.insert(0, sys.argv[1])
import small
from ray.cluster_utils import Cluster
from benchmark.execute.cluster import Site, make_cluster
from benchmark.tasks import Limits, Slot
from benchmark.places import default_folders

store = pathlib.Path(sys.argv[2])
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = nodes.add_node(num_cpus=1)
nodes.wait_for_nodes()
engine = make_cluster("ray://" + nodes.address, Slot("x"), Site(store, default_folders(None)), Limits())
assert len(engine._slots) == 2, engine._slots
used, real = [], engine.start
engine.start = lambda slot, tasks: (used.append(slot.name), real(slot, tasks))
killed = []

class Watch(small.Recorder):
    def stage_ended(self, stage, row):
        if not killed and len(set(used)) == 2:  # on a busy machine the second may come late
            killed.append(stage.key)
            nodes.remove_node(second, allow_graceful=False)

small.Recorder = Watch
done = small.run(store, small.cells(seeds=range(3), iterations=300), engine)
engine.close()
print("nodes used", len(set(used)), "killed", len(killed), "cells", [cell.status for cell in done.cells].count("ok"))
nodes.shutdown()
"""


@pytest.mark.slow
def test_a_node_that_dies_costs_only_time(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'skewbench[ray]'")
    short = Path(f"/tmp/sk{os.getpid()}")  # Ray's sockets need a short path
    short.mkdir()
    private = {"HOME": str(tmp_path), "RAY_TMPDIR": str(short), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", RUN, str(TESTS), str(tmp_path / "ray")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env={**os.environ, **private})
    finally:
        subprocess.run(["rm", "-rf", str(short)], check=True)
    assert "nodes used 2 killed 1 cells 15" in done.stdout, done.stdout + done.stderr[-3000:]
    small.run(tmp_path / "local", small.cells(seeds=range(3), iterations=300))
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_without_ray_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'skewbench\[ray\]'"):
        cluster.make_cluster("ray", Slot("x"), cluster.Site(tmp_path, default_folders(None)), Limits())


def test_what_the_cluster_cannot_give_is_refused_at_once():
    has = {"CPU": 4.0, "memory": 8.0 * 2**30}
    assert len(cluster.cluster_slots(has, Slot("x", threads=2), Limits(), None)) == 2
    assert len(cluster.cluster_slots(has, Slot("x"), Limits(memory_mib=3000), None)) == 2
    assert len(cluster.cluster_slots(has, Slot("x"), Limits(), 3)) == 3
    assert {slot.device for slot in cluster.cluster_slots({**has, "GPU": 2.0}, Slot("x", "cuda:3"), Limits(), None)} == {"cuda:0"}
    with pytest.raises(UserError, match="needs 1 CPU, 1 GPU; the whole cluster has 4 CPU, 0 GPU"):
        cluster.cluster_slots(has, Slot("x", "cuda:0"), Limits(), None)
    with pytest.raises(UserError, match="needs 8 CPU"):
        cluster.cluster_slots(has, Slot("x", threads=8), Limits(), None)


def test_an_unknown_executor_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected local, ray or ray://ADDRESS"):
        cluster.make_cluster("dask", Slot("x"), cluster.Site(tmp_path, default_folders(None)), Limits())
