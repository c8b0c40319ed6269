"""What MNIST and the data sets in its form share: four idx files in one folder."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets import Dataset
from benchmark.datasets._cache import cached_info, file_signature
from benchmark.datasets._fingerprint import describe
from benchmark.datasets._idx import read_idx
from benchmark.datasets._places import absent, find, missing_files
from benchmark.errors import DataError
from benchmark.records import DatasetInfo, Folders, Images

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, kw_only=True)
class IdxDataset(Dataset, ABC):
    """Grey images in idx files; the folder in a data root is torchvision's, or one named like the data set."""

    torchvision_folder: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]]

    def info(self, folders: Folders) -> DatasetInfo:
        files = self._files(folders)
        return cached_info(folders, [self.name, str(files[0].parent)], file_signature(files), lambda: describe(self._read(files)))

    def load(self, folders: Folders) -> Images:
        return self._read(self._files(folders))

    def _files(self, folders: Folders) -> list[Path]:
        """The four files, raw before .gz, of the first folder that has them all."""
        searched = []
        for place in self._candidates(folders):
            found = find(place, _FILES, endings=("", ".gz"))
            if len(found) == len(_FILES):
                return found
            searched.append(missing_files(place, _FILES, found))
        return absent(self.name, searched=searched, files=f"the files {', '.join(_FILES)} (raw or .gz)")

    def _candidates(self, folders: Folders) -> Iterator[Path]:
        for root in folders.data:
            yield root / self.torchvision_folder / "raw"
            yield root / self.name

    def _read(self, files: list[Path]) -> Images:
        train_images, train_labels, test_images, test_labels = files
        train, test = self._part(train_images, train_labels), self._part(test_images, test_labels)
        if train.images_NCHW.shape[1:] != test.images_NCHW.shape[1:]:
            raise DataError(f"{test_images} holds images of another size than {train_images}. Fetch the data set again.")
        return Images(
            images_NCHW=np.concatenate([train.images_NCHW, test.images_NCHW]),
            labels_N=np.concatenate([train.labels_N, test.labels_N]),
            num_train=train.num_train,
            class_names=self.class_names,
        )

    def _part(self, images_path: Path, labels_path: Path) -> Images:
        images = read_idx(images_path, dimensions=3)
        labels = read_idx(labels_path, dimensions=1)
        if len(images) != len(labels):
            raise DataError(f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels. Fetch the data set again.")
        if len(labels) and labels.max() >= len(self.class_names):
            raise DataError(
                f"{labels_path} holds the label {labels.max()}: expected 0 to {len(self.class_names) - 1}. Fetch the data set again."
            )
        as_int64: NDArray[np.int64] = labels.astype(np.int64)
        return Images(images[:, None], as_int64, len(labels), self.class_names)
