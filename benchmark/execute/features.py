"""Features of a frozen base: computed once per image, kept in the cache, mapped by every process that trains a head on them.

Shape suffixes: N images of the data set, D features.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.arrays import write_bytes
from benchmark.execute.loop import floats
from benchmark.execute.macs import macs_per_image
from benchmark.execute.mapped import mapped
from benchmark.execute.sources import STREAMED_BATCH, ImageSource, parts
from benchmark.identity import canonical, digest

_VERSION = 1
"""Part of a file's name: raise it when the same base on the same images comes to other numbers."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """What a frozen base makes of a data set's images."""

    values_ND: Tensor
    """float32 on the device; NaN for images that are in no part of any cell."""
    facts: Mapping[str, float]
    """Of the base: `parameters`, `macs`, and the `seconds` that its pass over `images` took, wherever that was."""


def features_key(images: str, identity: Mapping[str, Any], rows_N: NDArray[np.int64]) -> str:
    """`images`: what the pixels are, preprocessing included; `identity`: the base; the rows that are looked at."""
    return digest(canonical([_VERSION, images, identity, digest(rows_N.tobytes().hex())]))


def features_of(
    path: Path, images: Callable[[], ImageSource], rows_N: NDArray[np.int64], shape: tuple[int, int], base: Callable[[], nn.Module]
) -> tuple[NDArray[np.float32], Mapping[str, float]]:
    """The features [N, D] in the file, computed first where there is none; `images` and `base` (on the device) are made only then."""
    facts: dict[str, float] = {}

    def made() -> Iterator[NDArray[np.float32]]:
        log.info("features of %d images: computed once, kept as %s", len(rows_N), path)
        begun, source, module = time.perf_counter(), images(), base()
        yield from _blocks(source, rows_N, shape, module)
        seconds = time.perf_counter() - begun
        size = sum(weights.numel() for weights in module.parameters())
        facts.update(seconds=seconds, images=float(len(rows_N)), parameters=float(size))
        facts.update(macs=float(macs_per_image(module, tuple(source.shape[1:]))))
        write_bytes(path.with_suffix(".json"), json.dumps(facts).encode())

    found = mapped(path, shape, made)
    return found, facts or _told(path.with_suffix(".json"))


def _told(path: Path) -> Mapping[str, float]:
    try:
        found: Mapping[str, float] = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):  # they are only reported: features without them are as good
        return {}
    return found


@torch.inference_mode()
def _blocks(source: ImageSource, rows_N: NDArray[np.int64], shape: tuple[int, int], base: nn.Module) -> Iterator[NDArray[np.float32]]:
    """Rows in order: features of those that are wanted, NaN for the others."""
    done, rows = 0, torch.from_numpy(rows_N)
    batches = parts(source, rows.to(source.device), STREAMED_BATCH)
    for wanted, images in zip(torch.split(rows, STREAMED_BATCH), batches, strict=True):
        block = np.full((int(wanted[-1]) + 1 - done, shape[1]), np.nan, dtype=np.float32)
        block[wanted.numpy() - done] = base(floats(images)).float().cpu().numpy()
        done += len(block)
        yield block
    yield np.full((shape[0] - done, shape[1]), np.nan, dtype=np.float32)
