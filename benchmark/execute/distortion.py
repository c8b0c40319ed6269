"""An augmentation with its stream of random numbers: what a step's images get depends on the seed and the number of the step alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.augmentations import Augmentation


@dataclass
class Distortion:
    """Applied to one batch after another, on the device on which it lies."""

    augmentation: Augmentation
    seed: int
    step: int = 0

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Float images; the numbers are drawn on the host (Philox, counted by steps), so that every device sees the same ones."""
        random = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, self.step]))
        self.step += 1
        draws_BD = torch.from_numpy(random.random((len(images_BCHW), self.augmentation.draws), dtype=np.float32))
        return self.augmentation.apply(images_BCHW, draws_BD.to(images_BCHW.device, non_blocking=True))
