"""The one training loop. Every method, model and device goes through it; nothing in it knows which.

Shape suffixes: B batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.execute.batches import stream
from benchmark.methods import Loss
from benchmark.recipe import Recipe

CHUNK = 50
"""Steps between looks from outside: progress, and whether the loss is still finite. Inside a chunk the host never waits for the device."""

Progress = Callable[[int, int], None]
"""(steps done, steps in all)"""


class NotFinite(ArithmeticError):
    """The training loss became NaN or infinite."""


@dataclass(frozen=True)
class TrainingSet:
    """Images on the device and the rows of them that make up the (sampled) training set."""

    images_NCHW: Tensor
    """uint8"""
    labels_N: Tensor
    rows: Tensor
    """int64, with repetitions where a method oversamples"""


def train(  # noqa: PLR0913  # what a training is: a network, data, a recipe, a loss; how long, from which seed, who watches
    model: nn.Module, data: TrainingSet, recipe: Recipe, loss: Loss, *, steps: int, seed: int, progress: Progress
) -> Tensor:
    """Train in place for `steps` steps; returns the loss of every step, float32 [steps], on the CPU. NotFinite if it diverges."""
    optimizer = recipe.optimizer.build(model.parameters())
    rates = [recipe.optimizer.lr * recipe.schedule.factor(step, steps) for step in range(steps)]
    losses = torch.zeros(steps, device=data.rows.device)
    batches = stream(len(data.rows), recipe.batch, steps, seed)
    penalised = [p for p in model.parameters() if p.dim() > 1] if recipe.l1 else []
    model.train()
    for start in range(0, steps, CHUNK):
        chunk = zip(itertools.islice(batches, CHUNK), rates[start : start + CHUNK], strict=True)
        train_chunk(model, data, optimizer, loss, chunk, losses[start : start + CHUNK], penalised=penalised, l1=recipe.l1)
        done = min(start + CHUNK, steps)
        if not bool(losses[start:done].isfinite().all()):
            raise NotFinite(f"the training loss is not finite after {done} of {steps} steps: try a smaller learning rate")
        progress(done, steps)
    return losses.cpu()


def train_chunk(  # noqa: PLR0913  # the innards of `train`, apart so that benchmarks can time them
    model: nn.Module,
    data: TrainingSet,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    chunk: Iterable[tuple[Tensor, float]],
    losses: Tensor,
    *,
    penalised: list[nn.Parameter],
    l1: float,
) -> None:
    """Some steps in a row, without a word to the host."""
    for step, (picked, rate) in enumerate(chunk):
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = data.rows[picked.to(data.rows.device, non_blocking=True)]
        value = loss(model(pixels(data.images_NCHW[rows])), data.labels_N[rows])
        losses[step] = value.detach()
        for weight in penalised:
            value = value + l1 * weight.abs().sum()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        optimizer.step()


def pixels(images_BCHW: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1]."""
    return images_BCHW.float().div_(255)


@torch.inference_mode()
def log_probabilities(model: nn.Module, images_NCHW: Tensor, rows: Tensor, *, batch: int = 1024) -> Tensor:
    """Log-softmax of the logits of these rows, computed in float64, float32 [rows, K] on the CPU. Evaluation mode, no gradients."""
    model.eval()
    outputs = [model(pixels(images_NCHW[part])).double().log_softmax(dim=1) for part in torch.split(rows, batch)]
    return torch.cat(outputs).float().cpu()
