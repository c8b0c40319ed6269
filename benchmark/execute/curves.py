"""Training curves: the loss of every step as a hundred points, whole in the end or point by point on the way, with the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

CURVE_POINTS = 100


def curve(losses: Tensor) -> list[tuple[int, float]]:
    """(step, mean loss since the point before), at most CURVE_POINTS of them."""
    return points_between(losses, len(losses), 0, len(losses))


def points_between(losses: Tensor, steps: int, begin: int, end: int) -> list[tuple[int, float]]:
    """The points of the curve of `steps` steps that lie after step `begin` and not after `end`; the losses are there up to `end`."""
    shortest, longer = divmod(steps, min(CURVE_POINTS, steps))
    sizes = [shortest + (at < longer) for at in range(min(CURVE_POINTS, steps))]  # as torch.tensor_split has them
    ends = np.cumsum(sizes)
    return [
        (int(last), float(losses[last - size : last].cpu().double().mean()))
        for last, size in zip(ends, sizes, strict=True)
        if begin < last <= end
    ]
