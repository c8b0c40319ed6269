"""Phase 2 of two-phase training: the head learns, on features that were kept or behind the frozen network."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from benchmark import seeds
from benchmark.execute.loop import Progress, Trained, TrainingSet, train
from benchmark.recipe import Recipe
from benchmark.stages import Stage


class Frozen(nn.Module):
    """A network frozen but for its `head`, from images [N, C, H, W] to logits [N, K]; the network given is changed for good.

    In training mode the frozen part's dropout acts, and its batch norms stay in evaluation mode: they go by the statistics of the first
    training and do not change them. Weights that need no gradient get no weight decay either.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.head = network.get_submodule("head")
        network.requires_grad_(False)
        self.head.requires_grad_(True)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.network(images_NCHW)
        return logits_NK

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        learning = set(self.head.modules())
        for layer in self.network.modules():
            if isinstance(layer, _NormBase) and layer not in learning:
                layer.eval()
        return self


def second_phase(stage: Stage, recipe: Recipe, module: nn.Module, data: TrainingSet, progress: Progress) -> Trained:
    """Train what learns of `module` by the recipe of phase 1, at the stage's rate and length and with random streams of its own."""
    torch.manual_seed(seeds.stream_seed("dropout", stage.stream_key))
    loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    order = seeds.stream_seed("order", stage.stream_key)
    steps, factor = stage.config["steps"], stage.config["lr_factor"]
    return train(module, data, recipe, loss, steps=steps, seed=order, progress=progress, lr_factor=factor)
