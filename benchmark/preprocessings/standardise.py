"""Standardised channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.preprocessings import Blocks, Preprocessing, Transform
from benchmark.registry import plugin

if TYPE_CHECKING:
    from torch import Tensor


@plugin("standardise")
class Standardise(Preprocessing):
    """Each channel minus its mean, over its standard deviation (over 1 where it is constant), both over all training pixels."""

    source = "common practice: torchvision.transforms.Normalize with the training part's own statistics"

    def learn(self, blocks: Blocks) -> Transform:
        import torch

        number, sums_C, squares_C = 0, torch.tensor(0.0), torch.tensor(0.0)
        for block in blocks():  # whole numbers below 2**53: exact in float64, in any order
            values = block.double()
            number += values[:, 0].numel()
            sums_C, squares_C = sums_C.to(values) + values.sum(dim=(0, 2, 3)), squares_C.to(values) + (values**2).sum(dim=(0, 2, 3))
        mean_C = sums_C / number
        deviation_C = (squares_C / number - mean_C**2).clamp(min=0).sqrt()
        deviation_C = torch.where(deviation_C < 1e-6, torch.ones_like(deviation_C), deviation_C)
        shift, spread = (each.float()[:, None, None] for each in (mean_C, deviation_C))

        def transform(images: Tensor) -> Tensor:
            return (images.float() - shift) / spread

        return transform
