"""Contract checks of augmentations. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.augmentations import Augmentation

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = ((3, 8, 8), (1, 8, 12))


def augmentation_problems(augmentation: Augmentation) -> Iterator[str]:
    """Shape, dtype, finite values, the same twice, each image by itself, the images given left alone; colour and grey images."""
    if not isinstance(getattr(augmentation, "draws", None), int) or augmentation.draws < 0:
        yield "must say how many random numbers an image takes: `draws = 4`."
        return
    for shape in SHAPES:
        yield from _problems(augmentation, shape)


def _problems(augmentation: Augmentation, shape: tuple[int, int, int]) -> Iterator[str]:
    import torch

    noise = torch.Generator().manual_seed(0)
    images: Tensor = torch.rand(6, *shape, generator=noise)
    draws: Tensor = torch.rand(6, augmentation.draws, generator=noise)
    before = images.clone()
    found = augmentation.apply(images, draws)
    if found.dtype != torch.float32 or found.shape != images.shape:
        yield f"must give float32 {list(images.shape)} for such images, found {found.dtype} {list(found.shape)}."
        return
    if not found.isfinite().all():
        yield "gives values that are not finite."
    if not torch.equal(images, before):
        yield "changes the images that it is given: work on a copy."
    if not torch.equal(augmentation.apply(images, draws), found):
        yield "gives other images for the same numbers: take all randomness from the draws."
    alone = torch.cat([augmentation.apply(images[n : n + 1], draws[n : n + 1]) for n in range(len(images))])
    if not torch.allclose(alone, found, rtol=1e-4, atol=1e-5):
        yield "gives an image other values in other company."
