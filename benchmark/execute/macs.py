"""Multiply-accumulates of a network, counted by torch's own counter."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def macs_per_image(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Of one image's forward pass in evaluation mode: half the floating-point operations of convolutions and matrix products.

    Elementwise work, pooling and norms are not in it, as usual. Weights and random state stay as they are.
    """
    was_training = module.training
    device = next(module.parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *shape, device=device))
    module.train(was_training)
    return int(counter.get_total_flops()) // 2
