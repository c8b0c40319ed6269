"""Rotation, shift and flip."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmark.augmentations import Augmentation
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import Tensor


@plugin("geometric")
class Geometric(Augmentation):
    """Each image turned by up to `rotation` degrees, shifted by up to a share of its size, and mirrored half of the time.

    One bilinear resampling of all images of a batch at once; what comes in from outside is the nearest edge pixel (`nearest`) or zero.
    """

    source = "Keras' ImageDataGenerator(rotation_range=20, width_shift_range=0.2, height_shift_range=0.2, horizontal_flip=…)"
    draws = 4

    rotation: float = parameter(20.0, doc="largest angle in degrees, either way", low=0, high=180)
    shift: float = parameter(0.2, doc="largest shift in each direction as a share of width or height", low=0, high=1)
    flip: bool = parameter(False, doc="whether left and right are swapped in half of the images")
    fill: str = parameter("nearest", doc="what comes in from outside the image", choices=("nearest", "zero"))

    def apply(self, images_BCHW: Tensor, draws_BD: Tensor) -> Tensor:
        from torch.nn.functional import affine_grid, grid_sample

        # align_corners=False: coordinates -1 and 1 are the outer edges of the outermost pixels
        grid = affine_grid(self.maps(draws_BD, images_BCHW.shape[2], images_BCHW.shape[3]), list(images_BCHW.shape), align_corners=False)
        padding = "border" if self.fill == "nearest" else "zeros"
        moved: Tensor = grid_sample(images_BCHW, grid, mode="bilinear", padding_mode=padding, align_corners=False)
        return moved

    def maps(self, draws_BD: Tensor, height: int, width: int) -> Tensor:
        """[B, 2, 3]: from a place in the new image to the place in the old one that it shows, both in -1 to 1."""
        import torch

        turn, right, down, mirror = draws_BD.unbind(dim=1)
        angle = (2 * turn - 1) * math.radians(self.rotation)
        side = 1 - 2 * (mirror < 0.5).to(draws_BD.dtype) if self.flip else torch.ones_like(angle)
        cos, sin = angle.cos(), angle.sin()
        across = torch.stack([cos * side, -sin * (height / width), 2 * self.shift * (2 * right - 1)], dim=1)
        along = torch.stack([sin * (width / height) * side, cos, 2 * self.shift * (2 * down - 1)], dim=1)
        return torch.stack([across, along], dim=1)
