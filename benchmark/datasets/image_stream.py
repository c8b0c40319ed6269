"""A folder of photographs that is too large for memory, ImageNet above all."""

from __future__ import annotations

import numpy as np

from benchmark.datasets import Dataset
from benchmark.datasets._content import content_fingerprint
from benchmark.datasets._crop import CropDecoder
from benchmark.datasets._root import check_parts, check_root, find_root
from benchmark.datasets._tree import Tree, guess_parts, scan
from benchmark.errors import InvalidValue
from benchmark.records import DatasetInfo, Folders, StreamedImages
from benchmark.registry import parameter, plugin

_REMEDY = (
    "Put the images there as train/<class>/* and val/<class>/* (or test), or as <class>/* with `train_fraction`; mend `root`, or set "
    "SKEWBENCH_DATA. ImageNet (ILSVRC-2012) cannot be downloaded by skewbench: get it from https://image-net.org, with its validation "
    "images sorted into the folders of their classes."
)


@plugin("image-stream")
class ImageStream(Dataset):
    """Colour photographs in `root/{train,val}/<class>/*` or `root/<class>/*`, too many for memory: decoded each time, ahead of the device.

    `test` does for `val`; one folder a class is split by `train_fraction`. Labels follow the sorted class names. The shorter side is
    resized to `resize`, aspect kept; training sees a random `crop`, mirrored half of the time, testing the central one, and so do features
    that a method takes of training images. Each file is read and tried once, for the fingerprint; later only names, sizes and times are
    looked at. Images are turned upright (EXIF) and lose transparency.
    """

    is_streamed = True
    source = "Buda et al. 2018, §3.3.3 (ILSVRC-2012)"

    root: str = parameter(doc="the folder: absolute, or relative to the suite's folder or to a data root", identity=False)
    resize: int = parameter(256, doc="pixels to which the shorter side is resized", low=4, high=2048)
    crop: int = parameter(224, doc="side of the square that is cut out, at most `resize`", low=4, high=2048)
    augment: bool = parameter(True, doc="random crops and mirror images in training; off: the central crop there too")
    workers: int | None = parameter(
        None,
        doc="processes that decode, 0 for none; results do not depend on it. null: all cores, shared by the GPUs; without a GPU one",
        low=0,
        high=128,
        identity=False,
    )
    parts: tuple[str, str] | None = parameter(
        None, doc="folders of the training and the test part, where they are not train and the first of test, val, valid, validation"
    )

    def __post_init__(self) -> None:
        check_root(self.root)
        check_parts(self.parts)
        if self.crop > self.resize:
            raise InvalidValue(f"expected a 'crop' of at most {self.resize}, the value of 'resize', found {self.crop}.")

    def info(self, folders: Folders) -> DatasetInfo:
        tree = self._tree(folders)
        train, test = (tuple(map(len, part)) for part in (tree.train, tree.test))
        fingerprint = content_fingerprint(tree, cache=folders.cache)
        return DatasetInfo(fingerprint, self._decoder.shape, tree.class_names, train, test or (0,) * len(train))

    def load(self, folders: Folders) -> StreamedImages:
        tree = self._tree(folders)
        labels = np.arange(len(tree.class_names), dtype=np.int64)
        parts = [np.repeat(labels, [len(files) for files in part]) for part in (tree.train, tree.test) if part]
        paths = [str(tree.root / file.path) for file in tree.files]
        return StreamedImages(paths, np.concatenate(parts), len(parts[0]), tree.class_names, self._decoder, self.workers)

    @property
    def _decoder(self) -> CropDecoder:
        return CropDecoder(self.resize, self.crop, self.augment)

    def _tree(self, folders: Folders) -> Tree:
        root = find_root(self.root, folders, remedy=_REMEDY)
        return scan(root, parts=self.parts or guess_parts(root))
