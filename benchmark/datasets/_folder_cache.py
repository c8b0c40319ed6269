"""The cache of decoded image folders.

Two files a folder: `images/<key>-<signature>.npy` and, written last, `images/<key>.json`, which names it. A process that dies on
the way leaves the old pair or none. Images are in the order of the tree, so labels follow from the counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets import _cache
from benchmark.datasets._decode import decode
from benchmark.datasets._fingerprint import describe
from benchmark.datasets._pixels import Colour
from benchmark.datasets._tree import Tree
from benchmark.identity import canonical, digest
from benchmark.records import DatasetInfo, Images

_VERSION = 1
"""Part of the key: raise it when the same files give other pixels."""


@dataclass(frozen=True)
class Decoded:
    """What the cache knows of a decoded folder; `array` is a file name beside it."""

    signature: str
    array: str
    info: DatasetInfo


def decoded(tree: Tree, *, size: tuple[int, int], colour: Colour, cache: Path) -> Decoded:
    """The cached form of a tree, made now if there is none or the tree has changed. DataError with the names of broken images."""
    key = digest(canonical([_VERSION, os.fsencode(tree.root).hex(), list(size), colour]))
    meta_path = cache / "images" / f"{key}.json"
    found = _valid(meta_path, tree)
    if found is not None:
        return found
    with _cache.locked(meta_path.with_suffix(".lock")):
        found = _valid(meta_path, tree)  # another process may have made it while this one waited
        return found if found is not None else _make(tree, size, colour, meta_path)


def open_images(tree: Tree, found: Decoded, *, cache: Path) -> Images:
    """The decoded images, memory-mapped read-only."""
    return Images(
        images_NCHW=_open(cache / "images" / found.array),
        labels_N=_labels(tree),
        num_train=sum(found.info.train_counts),
        class_names=tree.class_names,
    )


def _make(tree: Tree, size: tuple[int, int], colour: Colour, meta_path: Path) -> Decoded:
    _remove_leftovers(meta_path)
    array_path = meta_path.with_name(f"{meta_path.stem}-{tree.signature}.npy")
    with _cache.temporary(array_path) as name:
        decode(tree.root, [file.path for file in tree.files], size, colour, name)
        images = Images(_open(name), _labels(tree), sum(map(len, tree.train)), tree.class_names)
        made = Decoded(tree.signature, array_path.name, describe(images))
        _cache.commit(name, array_path)
    _cache.write(meta_path, made)
    return made


def _remove_leftovers(meta_path: Path) -> None:
    """Temporary files of processes that died, and arrays of earlier states of the folder. Called under the lock."""
    for pattern in (f".{meta_path.stem}*.tmp", f"{meta_path.stem}-*.npy"):
        for file in meta_path.parent.glob(pattern):
            file.unlink(missing_ok=True)


def _valid(meta_path: Path, tree: Tree) -> Decoded | None:
    found = _cache.read(meta_path, Decoded)
    if found is None or found.signature != tree.signature or Path(found.array).name != found.array:
        return None
    try:
        array = _open(meta_path.parent / found.array)
    except (OSError, ValueError):  # gone, cut short, or no .npy file
        return None
    return found if array.shape == (len(tree.files), *found.info.shape) and array.dtype == np.uint8 else None


def _open(path: Path) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], np.load(path, mmap_mode="r", allow_pickle=False))


def _labels(tree: Tree) -> NDArray[np.int64]:
    labels = np.arange(len(tree.class_names), dtype=np.int64)
    parts = [np.repeat(labels, [len(images) for images in part]) for part in (tree.train, tree.test) if part]
    return np.concatenate(parts)
