"""Processes beside: nothing of them is left when the one they work for is killed."""

from __future__ import annotations

import subprocess
import sys
import time

from test_workers import is_gone

SCRIPT = """
import os, time
os.cpu_count = lambda: 2  # on one core there would be none
from benchmark.beside import elsewhere, processes

if __name__ == "__main__":
    with processes(1) as pool:
        print(elsewhere(pool, os.getpid)(), flush=True)
        time.sleep(60)
"""


def test_they_end_with_the_one_that_is_killed(tmp_path):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert pid != process.pid
        process.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until and not is_gone(pid):
        time.sleep(0.05)
    assert is_gone(pid)
