"""A folder of images: the user's own data."""

from __future__ import annotations

from typing import cast

from benchmark.datasets import Dataset
from benchmark.datasets._folder_cache import decoded, open_images
from benchmark.datasets._pixels import Colour
from benchmark.datasets._root import check_parts, check_root, find_root
from benchmark.datasets._tree import Tree, scan
from benchmark.errors import InvalidValue, shown
from benchmark.records import DatasetInfo, Folders, Images
from benchmark.registry import parameter, plugin

_SMALLEST, _LARGEST = 4, 1024


@plugin("image-folder")
class ImageFolder(Dataset):
    """Images in `root/{train,test}/<class>/*`, or in `root/<class>/*` and split by `train_fraction`. Labels follow the sorted class names.

    Decoded once into a memory-mapped array; later only names, sizes and times of the files are looked at. Images are turned upright
    (EXIF), resized without keeping the aspect, and lose transparency; 16-bit values are cut to 8 bits.
    """

    root: str = parameter(doc="the folder: absolute, or relative to the suite's folder or to a data root", identity=False)
    size: int | tuple[int, int] = parameter(32, doc="side, or [height, width], to which images are resized (4 to 1024)")
    colour: str = parameter("auto", doc="rgb, grey, or auto: grey if every image is", choices=("auto", "rgb", "grey"))
    parts: tuple[str, str] | None = parameter(None, doc="folders of the training and the test part, where they are not train and test")

    def __post_init__(self) -> None:
        check_root(self.root)
        check_parts(self.parts)
        sides = self.shape
        if not all(_SMALLEST <= side <= _LARGEST for side in sides):
            raise InvalidValue(
                f"expected sides from {_SMALLEST} to {_LARGEST} for 'size' of dataset 'image-folder', found {shown(self.size)}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def info(self, folders: Folders) -> DatasetInfo:
        return decoded(self._tree(folders), size=self.shape, colour=cast(Colour, self.colour), cache=folders.cache).info

    def load(self, folders: Folders) -> Images:
        tree = self._tree(folders)
        found = decoded(tree, size=self.shape, colour=cast(Colour, self.colour), cache=folders.cache)
        return open_images(tree, found, cache=folders.cache)

    def _tree(self, folders: Folders) -> Tree:
        root = find_root(self.root, folders, remedy="Mend `root`, or set SKEWBENCH_DATA.")
        return scan(root, parts=self.parts)
