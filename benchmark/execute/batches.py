"""Batches as index vectors: data stays where it is on the device, and no image is touched in Python."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 65536
"""Indices drawn at a time: passes over a tiny set are drawn together, so that ten images cost no more than ten thousand."""


def stream(num_images: int, batch: int, steps: int, seed: int) -> Iterator[Tensor]:
    """`steps` batches of exactly `batch` positions in [0, num_images), int64 on the CPU.

    The stream reshuffles at each pass and joins passes without a gap: no short batch, also where the set is smaller than a batch
    (Buda et al. 2018 fix iterations, not epochs).
    """
    random = torch.Generator().manual_seed(seed)
    passes = max(1, -(-max(_BLOCK, batch) // num_images))
    left = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(left) < batch:
            keys = torch.rand(passes, num_images, generator=random, dtype=torch.float64)
            left = torch.cat([left, keys.argsort(dim=1).flatten()])
        yield left[:batch]
        left = left[batch:]
