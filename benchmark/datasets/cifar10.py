"""CIFAR-10: small colour photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.datasets import Dataset
from benchmark.datasets._cache import cached_info, file_signature
from benchmark.datasets._fingerprint import describe
from benchmark.datasets._places import absent, find, missing_files
from benchmark.errors import DataError
from benchmark.records import DatasetInfo, Folders, Images
from benchmark.registry import plugin

_BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
_BINARY, _PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
_ROW = 1 + 3 * 32 * 32
"""Bytes of one image in the binary version: the label, then the red, green and blue planes."""


@plugin("cifar10")
class CIFAR10(Dataset):
    """60,000 colour photographs, 32x32: 5,000 a class to train and 1,000 to test."""

    source = "Krizhevsky 2009, Learning multiple layers of features from tiny images"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def info(self, folders: Folders) -> DatasetInfo:
        files = self._files(folders)
        return cached_info(folders, [self.name, str(files[0].parent)], file_signature(files), lambda: describe(self._read(files)))

    def load(self, folders: Folders) -> Images:
        return self._read(self._files(folders))

    def _files(self, folders: Folders) -> list[Path]:
        """The six batches of the first folder that has them all; the binary version, which needs no pickle, goes first."""
        searched = []
        for root in folders.data:
            for folder, ending in ((_BINARY, ".bin"), (_PYTHON, "")):
                names = [f"{batch}{ending}" for batch in _BATCHES]
                found = find(root / folder, names)
                if len(found) == len(names):
                    return found
                searched.append(missing_files(root / folder, names, found))
        return absent(self.name, searched=searched, files=f"the six batches of {_BINARY} or {_PYTHON}")

    def _read(self, files: list[Path]) -> Images:
        parts = [_read_binary(file) for file in files] if files[0].suffix == ".bin" else _read_python(files[0].parent)
        return Images(
            images_NCHW=np.concatenate([part.images_NCHW for part in parts]),
            labels_N=np.concatenate([part.labels_N for part in parts]),
            num_train=sum(part.num_train for part in parts[:-1]),
            class_names=self.class_names,
        )


def _read_binary(path: Path) -> Images:
    data = np.fromfile(path, dtype=np.uint8)
    if not len(data) or len(data) % _ROW:
        raise DataError(f"{path} holds {len(data)} bytes: expected a multiple of {_ROW}. The file is damaged; fetch the data set again.")
    rows = data.reshape(-1, _ROW)
    if rows[:, 0].max() > 9:
        raise DataError(f"{path} holds the label {rows[:, 0].max()}: expected 0 to 9. The file is damaged; fetch the data set again.")
    return Images(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0].astype(np.int64), len(rows), ())


def _read_python(folder: Path) -> list[Images]:
    """Both parts of the Python version, which is pickled: torchvision checks the published MD5 of each file before it unpickles it."""
    from torchvision.datasets import CIFAR10 as Torchvision

    try:
        parts = [Torchvision(folder.parent, train=train, download=False) for train in (True, False)]
    except RuntimeError as error:
        raise DataError(
            f"the files in {folder} are not CIFAR-10's: their MD5 sums differ from the published ones ({error}). "
            "Move the folder away and run `skewbench fetch cifar10`."
        ) from error
    return [
        Images(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.asarray(part.targets, dtype=np.int64), len(part.targets), ())
        for part in parts
    ]
