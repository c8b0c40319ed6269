"""A base that was trained elsewhere, and what learns on it. Imported when a network is built, since it needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, as torchvision's weights expect them."""
CALIBRATION = 64
"""Random images by which the batch norms of a random base get their statistics."""


class Prepared(nn.Module):
    """Images [N, 1 or 3, H, W] in 0 to 1, grey repeated three times, resized (bilinear) and normalised, then the base: features [N, D]."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, base: nn.Module, size: int, *, imagenet: bool) -> None:
        super().__init__()
        self.base = base
        self.size = size
        mean, deviation = (MEAN, DEVIATION) if imagenet else ((0.0,) * 3, (1.0,) * 3)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)
        self._plain = not imagenet

    def forward(self, images_NCHW: Tensor) -> Tensor:
        images = images_NCHW.expand(-1, 3, -1, -1)
        if images.shape[-2:] != (self.size, self.size):
            images = interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=False)
        if not self._plain:
            images = (images - self.mean) / self.deviation
        features_ND: Tensor = self.base(images).flatten(1)
        return features_ND


class Learner(nn.Module):
    """Dense layer with ReLU (or none), dropout, linear head; before them a base, where the network starts from images.

    A frozen base is no submodule: it has no part in the state, in the parameters, or in changes of mode, so it stays in evaluation mode
    and its batch norms never move.
    """

    def __init__(self, width: int, num_classes: int, *, dense: int | None, dropout: float) -> None:
        super().__init__()
        if dense is not None:
            self.dense = nn.Linear(width, dense)
            self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dense or width, num_classes)
        self._frozen: list[nn.Module] = []
        self.num_frozen = 0
        self.penalty: Callable[[], Tensor] | None = None
        """What is added to the loss."""

    def begin_with(self, base: Prepared, *, freeze: bool) -> Self:
        if freeze:
            self._frozen = [base.requires_grad_(False).eval()]
            self.num_frozen = sum(weights.numel() for weights in base.parameters())
        else:
            self.prepared = base
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        if self._frozen:
            with torch.no_grad():
                inputs = self._frozen[0](inputs)
        elif hasattr(self, "prepared"):
            inputs = self.prepared(inputs)
        if hasattr(self, "dense"):
            inputs = self.relu(self.dense(inputs))
        logits_NK: Tensor = self.head(self.dropout(inputs))
        return logits_NK

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002  # torch's own signature
        """Where this goes (device, memory format) the frozen base goes too."""
        for base in self._frozen:
            base._apply(fn)  # type: ignore[no-untyped-call]  # untyped in torch
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # untyped in torch
        return self

    def penalise(self, where: str, l1: float, l2: float) -> None:
        """λ1 Σ|w| + λ2 Σw² over the kernel of the dense layer, the kernels of all that follows the base, or every kernel that learns."""
        dense: nn.Module = getattr(self, "dense", self.head)
        choices: dict[str, list[nn.Module]] = {"dense": [dense], "head": [dense, self.head], "all": [self]}
        layers = choices[where]
        kernels = {id(w): w for layer in layers for w in layer.parameters() if w.dim() > 1 and w.requires_grad}.values()

        def penalty() -> Tensor:
            terms = [l1 * w.abs().sum() for w in kernels if l1] + [l2 * w.square().sum() for w in kernels if l2]
            return torch.stack(terms).sum()

        if l1 or l2:
            self.penalty = penalty


def calibrate(base: nn.Module, size: int) -> None:
    """Give the batch norms of a random base the statistics of smooth random images: else values grow from block to block without bound."""
    norms = [layer for layer in base.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    images = interpolate(torch.rand(CALIBRATION, 3, 4, 4), size=(size, size), mode="bilinear", align_corners=False)
    with torch.no_grad():
        base.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.zero_()
    base.eval()
