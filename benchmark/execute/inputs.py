"""What networks are fed with: a data set's images on the device, as they are or preprocessed, once for all who ask for the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark import registry
from benchmark.datasets import Dataset
from benchmark.draw import draw, pool_rows, training_rows
from benchmark.execute.features import Features, features_key, features_of
from benchmark.execute.mapped import mapped
from benchmark.execute.sources import ImageSource, placed
from benchmark.identity import canonical, digest
from benchmark.imbalances import Imbalance
from benchmark.models import Model
from benchmark.preprocessings import Preprocessing
from benchmark.records import DatasetInfo, Folders, Images, StreamedImages

BLOCK = 1000
"""Images that are fitted or transformed at a time."""
_VERSION = 1
"""Part of a file's name: raise it when the same preprocessing of the same images comes to other numbers."""


@dataclass(frozen=True)
class Source:
    """A data set as it was read."""

    dataset: Dataset
    info: DatasetInfo
    images: Images | StreamedImages


class Inputs:
    """Keeps the last data set, and its images on the device, since stages that share them come in a row.

    What a preprocessing makes of a data set depends on its content, on the preprocessing with its code and on the rows it is fitted to. It
    is kept under a key of these in the cache, and mapped by every process, so that on a CPU workers share its memory. Whichever device and
    number of threads came first has computed it: all others use the same numbers.
    """

    def __init__(self, device: str, folders: Folders) -> None:
        self._device, self._folders = device, folders
        self._source: tuple[str, Source] | None = None
        self._made: tuple[str, ImageSource] | None = None
        self._kept: tuple[str, Features] | None = None
        self._asked = ""

    def source(self, spec: Mapping[str, Any]) -> Source:
        """The data set of this description."""
        text = canonical(spec)
        if self._source is None or self._source[0] != text:
            dataset = cast(Dataset, registry.build("datasets", spec))
            info = dataset.info(self._folders)
            self._source = (text, Source(dataset, info, self._images(dataset, info)))
        return self._source[1]

    def _images(self, dataset: Dataset, info: DatasetInfo) -> Images | StreamedImages:
        """Those that are held already where they are the same, as of cells that differ in their split alone."""
        held = self._source[1] if self._source else None
        if held is not None and isinstance(held.images, Images) and held.info.fingerprint == info.fingerprint:
            return held.images
        return dataset.load(self._folders)

    def of(self, config: Mapping[str, Any]) -> ImageSource:
        """The images [N, C, H, W] of a training's data set on the device: uint8, or float32 where its recipe preprocesses them.

        Those of a data set that is too large for memory are streamed to it.
        """
        asked = canonical([config[name] for name in ("dataset", "imbalance", "seed")] + [config["recipe"]["preprocess"]])
        if self._made is None or self._asked != asked:
            self._make(config)
            self._asked = asked
        assert self._made is not None
        return self._made[1]

    def features(self, config: Mapping[str, Any], model: Model, *, channels_last: bool) -> Features:
        """What the frozen part of a model makes of the images of a training's data set, on the device; computed once per image.

        Kept like preprocessed images, under a key of the pixels, of the base with its weights, and of the pool: neither seed, split,
        imbalance, head nor recipe is in it.
        """
        source, identity = self.source(config["dataset"]), model.base_identity()
        assert identity is not None, f"{model.name} has no frozen part"
        rows = pool_rows(source.dataset, source.info, source.images)
        key = features_key(self._pixels_key(config), identity, rows)
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # let go before more is made

            def base() -> nn.Module:
                module = model.build_base(source.info.shape).to(self._device)
                return module.to(memory_format=torch.channels_last) if channels_last else module

            path = self._folders.cache / "features" / f"{key}.npy"
            size = (len(source.images.labels_N), model.base_width())
            values, facts = features_of(path, lambda: self.of(config), rows, size, base)
            self._kept = (key, Features(torch.from_numpy(values).to(self._device), facts))
        return self._kept[1]

    def _pixels_key(self, config: Mapping[str, Any]) -> str:
        """What the images are that a network is fed with."""
        source = self.source(config["dataset"])
        if config["recipe"]["preprocess"] is None:
            return source.info.fingerprint
        preprocessing = cast(Preprocessing, registry.build("preprocessings", config["recipe"]["preprocess"]))
        return file_key(source.info, preprocessing, _fitted_rows(source, preprocessing, config))

    def _make(self, config: Mapping[str, Any]) -> None:
        source = self.source(config["dataset"])
        if config["recipe"]["preprocess"] is None:
            key = source.info.fingerprint if isinstance(source.images, Images) else canonical(config["dataset"])
            if self._made is None or self._made[0] != key:
                self._made = (key, placed(source.images, self._device))
            return
        preprocessing = cast(Preprocessing, registry.build("preprocessings", config["recipe"]["preprocess"]))
        rows = _fitted_rows(source, preprocessing, config)
        key = file_key(source.info, preprocessing, rows)
        if self._made is None or self._made[0] != key:
            self._made = None  # let go before more is made
            self._made = (key, self._preprocessed(source, preprocessing, rows, key))

    def _preprocessed(self, source: Source, preprocessing: Preprocessing, rows: NDArray[np.int64], key: str) -> Tensor:
        assert isinstance(source.images, Images), "refused while planning"
        pixels, shape = source.images.images_NCHW, source.images.images_NCHW.shape

        def made() -> Iterator[Tensor]:
            transform = preprocessing.learn(lambda: self._blocks(pixels, rows))
            for block in self._blocks(pixels, np.arange(len(pixels))):
                found = transform(block)
                assert (found.dtype, found.shape) == (torch.float32, block.shape), f"{preprocessing.name} gave {found.dtype} {found.shape}"
                yield found

        if preprocessing.fit == "cell":
            whole = torch.empty(shape, device=self._device)
            for start, block in enumerate(made()):
                whole[start * BLOCK : start * BLOCK + len(block)] = block
            return whole
        path = self._folders.cache / "preprocessed" / f"{key}.npy"
        return torch.from_numpy(mapped(path, shape, lambda: (block.cpu().numpy() for block in made()))).to(self._device)

    def _blocks(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[Tensor]:
        for start in range(0, len(rows), BLOCK):
            yield torch.from_numpy(pixels[rows[start : start + BLOCK]]).to(self._device)


def file_key(info: DatasetInfo, preprocessing: Preprocessing, rows: NDArray[np.int64]) -> str:
    """Of the images of a data set after a preprocessing that was fitted to these rows."""
    parts: Sequence[Any] = (_VERSION, info.fingerprint, preprocessing.science, preprocessing.code, digest(rows.tobytes().hex()))
    return digest(canonical(parts))


def _fitted_rows(source: Source, preprocessing: Preprocessing, config: Mapping[str, Any]) -> NDArray[np.int64]:
    """The rows that a preprocessing may learn from."""
    if preprocessing.fit == "train":
        return training_rows(source.dataset, source.info, source.images, config["seed"])
    imbalance = cast(Imbalance, registry.build("imbalances", config["imbalance"]))
    return draw(source.dataset, source.info, source.images, imbalance, config["seed"]).train
