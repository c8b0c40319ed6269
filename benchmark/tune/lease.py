"""Whose a running trial is, and whether whoever it was still lives. Optuna's own heartbeat works in `Study.optimize` alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.owners import alive, ourselves

LEASE = "lease"
SECONDS = 600.0
"""How long a lease holds without being renewed: after it another machine's process counts as dead."""
RENEW_SECONDS = 60.0
GRACE_SECONDS = 60.0
"""A trial without a lease was asked for a moment ago, or its process was killed in that moment."""


def new_lease() -> dict[str, Any]:
    """A lease of this process, from now on."""
    host, pid, born = ourselves()
    return {"host": host, "boot": boot_id(), "pid": pid, "born": born, "expires": time.time() + SECONDS}


def is_ours(lease: Mapping[str, Any] | None) -> bool:
    """Whether this very process holds it."""
    host, pid, born = ourselves()
    return lease is not None and (lease["host"], lease["pid"]) == (host, pid) and abs(lease["born"] - born) < 1


def is_dead(lease: Mapping[str, Any] | None, started: float) -> bool:
    """Whether nobody works on a trial any more that began at `started` (Unix seconds).

    On this machine the process itself is looked for; of another one only the clock is known.
    """
    if lease is None:
        return time.time() - started > GRACE_SECONDS
    if lease["host"] != socket.gethostname():
        return bool(lease["expires"] < time.time())
    return lease["boot"] != boot_id() or not alive(lease["host"], lease["pid"], lease["born"])


def boot_id() -> str:
    """Changes with every start of the machine; empty where the system does not tell."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""
