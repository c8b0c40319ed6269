"""Random streams, each named by its purpose and by the only things it may depend on (design, *Randomness*)."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np

from benchmark.identity import canonical

Purpose = Literal["draw", "split", "init", "order", "dropout", "resample", "augment", "search"]


def stream_seed(purpose: Purpose, *parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on the purpose and the parts alone, the same on every machine."""
    text = canonical([purpose, *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(purpose: Purpose, *parts: str | int) -> np.random.Generator:
    """A NumPy generator (PCG64) on the stream `stream_seed(purpose, *parts)`."""
    return np.random.Generator(np.random.PCG64(stream_seed(purpose, *parts)))
