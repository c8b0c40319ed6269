"""Downloading the public data sets, with torchvision's addresses and checksums."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmark import registry
from benchmark.datasets import Dataset
from benchmark.errors import DataError, UserError, unknown
from benchmark.records import Folders

_FETCHED = {"mnist": ("MNIST", "MNIST"), "fashion-mnist": ("FashionMNIST", "FashionMNIST"), "cifar10": ("CIFAR10", "cifar-10-batches-py")}
"""Data set: its class in torchvision and the folder that this one fills in a root."""


def fetch(name: str, folders: Folders) -> Path:
    """Download a data set into the first data root and return its folder; nothing is done where it is there already.

    It is downloaded and checked beside its place and moved there in one step, so that a download cut short is never taken for a
    whole one. DataError where the network or the disk refuses; UserError for a data set that cannot be downloaded.
    """
    if name not in _FETCHED:
        raise UserError(unknown("data set to fetch", name, _FETCHED))
    root = folders.data[0]
    class_name, folder = _FETCHED[name]
    target = root / folder
    if target.exists():
        return _checked(name, target, folders)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=f".fetch-{name}-") as text:
            _download(class_name, Path(text))
            _load(name, replace(folders, data=(Path(text),)))
            os.replace(Path(text) / folder, target)
    except OSError as error:
        raise DataError(f"{name} cannot be written to {root}: {error}. Set SKEWBENCH_DATA to a folder that can be written.") from error
    return target


def _checked(name: str, target: Path, folders: Folders) -> Path:
    try:
        _load(name, replace(folders, data=(target.parent,)))
    except DataError as error:
        raise DataError(f"{target} is there but is not whole: {error}\nMove that folder away, then fetch again.") from error
    return target


def _load(name: str, folders: Folders) -> None:
    cast(Dataset, registry.build("datasets", name)).load(folders)


def _download(class_name: str, root: Path) -> None:
    import torchvision.datasets

    try:
        # torchvision prints; progress goes to the error stream and stays
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(torchvision.datasets, class_name)(root, download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a wrong checksum is a RuntimeError
        reason = str(error).strip()
        raise DataError(
            f"{class_name} could not be downloaded: {reason}\nCheck the network and fetch again, or copy the files from another machine "
            "and set SKEWBENCH_DATA to their folder."
        ) from error
