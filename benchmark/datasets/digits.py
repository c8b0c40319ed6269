"""Scikit-learn's digits: small, real, and on every machine."""

from __future__ import annotations

import importlib.metadata

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets import Dataset
from benchmark.datasets._cache import cached_info
from benchmark.datasets._fingerprint import describe
from benchmark.records import DatasetInfo, Folders, Images
from benchmark.registry import parameter, plugin


@plugin("digits")
class Digits(Dataset):
    """1,797 handwritten digits of 8x8 grey values, enlarged; comes with scikit-learn, so it needs no download.

    It has no test part of its own: `train_fraction` splits it.
    """

    source = "Alpaydin, Kaynak 1998, Optical recognition of handwritten digits (UCI), as in sklearn.datasets.load_digits"

    size: int = parameter(28, doc="side to which the 8x8 images are resized (bilinear)", low=8, high=256)
    train_fraction: float | None = parameter(0.7, doc="share of each class that trains; the rest tests", above=0, high=0.99)

    def info(self, folders: Folders) -> DatasetInfo:
        # the pixels come from one library and are resized by another: a new release of either is looked at afresh
        made_by = " ".join(f"{library} {importlib.metadata.version(library)}" for library in ("scikit-learn", "pillow"))
        return cached_info(folders, [self.name, str(self.size)], made_by, lambda: describe(self.load(folders)))

    def load(self, folders: Folders) -> Images:  # noqa: ARG002 - the contract's signature; these images come with a library
        from sklearn.datasets import load_digits

        found = load_digits()
        images_NHW = np.stack([self._enlarged(image_HW) for image_HW in found.images])
        return Images(images_NHW[:, None], found.target.astype(np.int64), len(images_NHW), tuple("0123456789"))

    def _enlarged(self, image_HW: NDArray[np.float64]) -> NDArray[np.uint8]:
        from PIL import Image

        grey = np.round(image_HW * (255 / 16)).astype(np.uint8)  # values are 0..16
        return np.asarray(Image.fromarray(grey).resize((self.size, self.size), Image.Resampling.BILINEAR))
