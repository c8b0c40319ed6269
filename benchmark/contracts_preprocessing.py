"""Contract checks of preprocessings. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.preprocessings import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = ((3, 8, 8), (1, 8, 8))


def preprocessing_problems(preprocessing: Preprocessing) -> Iterator[str]:
    """Dtype, shape, finite values, the same twice, each image by itself; on noise, on grey and on black images."""
    accepted = 0
    for shape in SHAPES:
        try:
            preprocessing.check(shape)
        except InvalidValue:
            continue
        accepted += 1
        yield from _problems(preprocessing, shape)
    if not accepted:
        yield f"refuses every image shape tried: {', '.join(map(str, SHAPES))}."


def _problems(preprocessing: Preprocessing, shape: tuple[int, int, int]) -> Iterator[str]:
    import torch

    noise = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, *shape), dtype=torch.uint8, generator=noise)
    images[-1] = 0  # without contrast
    before = images.clone()

    def blocks() -> Iterator[Tensor]:
        return iter(torch.split(images, 25))

    transform = preprocessing.learn(blocks)
    found = transform(images)
    if found.dtype != torch.float32 or found.shape != images.shape:
        yield f"must give float32 {list(images.shape)} for such images, found {found.dtype} {list(found.shape)}."
        return
    if not found.isfinite().all():
        yield "gives values that are not finite: mind images without contrast and pixels that never change."
    if not torch.equal(images, before):
        yield "changes the images that it is given: work on a copy."
    if not torch.equal(preprocessing.learn(blocks)(images), found):
        yield "gives other values the second time for the same images."
    alone = torch.cat([transform(image[None]) for image in images])
    if not torch.allclose(alone, found, rtol=1e-3, atol=1e-3):
        yield "gives an image other values in other company: what is learnt must come from the training images alone."
    alike = torch.full((20, *shape), 7, dtype=torch.uint8)
    if not preprocessing.learn(lambda: iter([alike, alike]))(images).isfinite().all():
        yield "gives values that are not finite after training images that are all alike."
