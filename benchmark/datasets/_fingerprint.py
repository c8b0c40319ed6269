"""Content fingerprints: what a data set is, whatever files it came from."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from benchmark.identity import canonical
from benchmark.records import DatasetInfo, Images

_BLOCK = 32 * 2**20
"""Bytes hashed at a time, so that a memory-mapped array never has to fit in memory."""


def content_fingerprint(images: Images) -> str:
    """32 hexadecimal digits of SHA-256 over class names, shape, size of the training part, labels and pixels."""
    shape = [int(n) for n in images.images_NCHW.shape]
    head = canonical({"shape": shape, "train": images.num_train, "classes": images.class_names})
    found = hashlib.sha256(head.encode())
    found.update(np.ascontiguousarray(images.labels_N, dtype="<i8").data)
    rows = max(1, _BLOCK // max(1, int(np.prod(shape[1:]))))
    for start in range(0, shape[0], rows):
        found.update(np.ascontiguousarray(images.images_NCHW[start : start + rows]).data)
    return found.hexdigest()[:32]


def describe(images: Images) -> DatasetInfo:
    """What planning needs of decoded images: reads every pixel once."""
    channels, height, width = (int(n) for n in images.images_NCHW.shape[1:])
    return DatasetInfo(
        fingerprint=content_fingerprint(images),
        shape=(channels, height, width),
        class_names=images.class_names,
        train_counts=_counts(images.labels_N[: images.num_train], len(images.class_names)),
        test_counts=_counts(images.labels_N[images.num_train :], len(images.class_names)),
    )


def _counts(labels_N: NDArray[np.int64], num_classes: int) -> tuple[int, ...]:
    return tuple(int(n) for n in np.bincount(labels_N, minlength=num_classes))
