"""Photographs of any size to crops of one size, as networks for ImageNet are trained and tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets._pixels import BrokenImage, upright
from benchmark.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class CropDecoder:
    """Shorter side to `resize` with the aspect kept, then a square of side `crop`: the central one, or anywhere and mirrored by chance.

    To the bit what torchvision's Resize and CenterCrop make of the upright image in RGB, but for JPEGs whose shorter side is four times
    `resize` or more: those are decoded at a reduced scale.
    """

    resize: int
    crop: int
    augment: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.crop, self.crop

    @property
    def draws(self) -> int:
        """For top, left and mirror."""
        return 3 if self.augment else 0

    def __call__(self, path: str, draws: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
        try:
            image = _resized(upright(path, "rgb", least=2 * self.resize), self.resize)
        except BrokenImage as error:
            raise DataError(f"the image {path} cannot be used: {error}. Mend or remove it, and start again.") from error
        room = (image.height - self.crop, image.width - self.crop)
        if draws is None:
            (top, left), is_mirrored = (round(side / 2) for side in room), False
        else:
            (top, left), is_mirrored = (int(u * (side + 1)) for u, side in zip(draws, room, strict=False)), bool(draws[2] < 0.5)
        array_HWC = np.asarray(image.crop((left, top, left + self.crop, top + self.crop)))
        return (array_HWC[:, ::-1] if is_mirrored else array_HWC).transpose(2, 0, 1)


def _resized(image: Image.Image, shorter: int) -> Image.Image:
    """Bilinear with antialiasing; the longer side is cut to a whole number, as torchvision does."""
    from PIL import Image

    least = min(image.size)
    if least == shorter:
        return image
    width, height = (shorter if side == least else int(shorter * side / least) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)
