"""The one training loop. Every method, model and device goes through it; nothing in it knows which.

Shape suffixes: B batch, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from benchmark.execute.batches import stream
from benchmark.execute.sources import ImageSource, parts
from benchmark.methods import Loss
from benchmark.recipe import Recipe

EVALUATION_BATCH = 512
"""Images at a time without gradients: of 128 to 2048 the fastest with LeNet-5 on a CPU, and large enough for a GPU."""
KEPT_BYTES = 2**28
"""Head inputs of a prediction that are kept for a `features` stage that may follow on the same worker."""

CHUNK = 50
"""Steps between looks from outside: progress, and whether the loss is still finite. Inside a chunk the host never waits for the device."""


class Progress(Protocol):
    """Who is told how far a stage is, each time it looks up from its work: every CHUNK steps of a training."""

    def __call__(self, done: int, total: int, losses: Tensor | None = None, /) -> None:
        """Steps done, steps in all; of a training the losses of its steps [total], of which those done are there."""


Picked = tuple[Tensor, Tensor | None]
"""A batch: positions in a training set's rows, int64 on the CPU, and its images if they are streamed, uint8 [B, C, H, W] on the host."""


class Watch(Protocol):
    """Who looks at a network on the way. It must leave no trace in the training."""

    @property
    def at(self) -> tuple[int, ...]:
        """After which steps, ascending."""

    def look(self, model: nn.Module, step: int) -> None: ...


class NotFinite(ArithmeticError):
    """The training loss became NaN or infinite."""


@dataclass(frozen=True)
class TrainingSet:
    """Inputs, and the rows of them that make up the (sampled) training set."""

    inputs: ImageSource
    """Images [N, C, H, W], on the device (uint8, or what a preprocessing made of them in float32) or streamed to it (uint8); or features of
    a frozen network."""
    labels_N: Tensor
    rows: Tensor
    """int64, with repetitions where a method oversamples"""
    augment: int | None = None
    """Seed of what is random in streamed images; None: as in testing. Images on the device are taken as they are."""
    distort: Callable[[Tensor], Tensor] | None = None
    """What the recipe does at random to a batch of images, on the device."""

    @contextlib.contextmanager
    def batches(self, batch: int, steps: int, seed: int) -> Iterator[Iterator[Picked]]:
        """Batches in the order of `stream`, each made when it is asked for or shortly before."""
        picks = stream(len(self.rows), batch, steps, seed)
        if isinstance(self.inputs, Tensor):
            yield zip(picks, itertools.repeat(None))
            return
        ahead, picks = itertools.tee(picks)
        rows = self.rows.cpu()
        with self.inputs.decoded((rows[picked] for picked in ahead), steps, augment=self.augment) as images:
            yield zip(picks, images, strict=True)

    def take(self, picked: Picked) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a batch on the device."""
        positions, images = picked
        rows = self.rows[positions.to(self.rows.device, non_blocking=True)]
        if images is not None:
            inputs = images.to(rows.device, non_blocking=True)
        else:
            assert isinstance(self.inputs, Tensor)
            inputs = self.inputs[rows]
        return (self.distort(floats(inputs)) if self.distort else inputs), self.labels_N[rows]


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind besides the weights."""

    losses: Tensor
    """Of every step, float32 [steps], on the CPU."""
    profile: Mapping[str, float]
    """`warmup_seconds` and `warmup_steps` of the first chunk, `steady_seconds` and `steady_steps` of the others, `data_seconds` of making
    batches on the host or of waiting for those who do. Without other chunks all steps count as steady. `monitor_seconds`, where somebody
    looked on, is in none of them."""


@dataclass
class _Clock:
    """Where the time of a training goes."""

    data: float = 0.0
    training: float = 0.0
    first: float = 0.0
    """Of it, until the end of the first chunk."""
    watching: float = 0.0
    _since: float = field(default_factory=lambda: time.perf_counter())

    def lap(self) -> float:
        """Seconds since the last lap."""
        since, self._since = self._since, time.perf_counter()
        return self._since - since

    def waited(self, batches: Iterator[Picked]) -> Iterator[Picked]:
        """The batches; the time until one is there counts."""
        while True:
            begun = time.perf_counter()
            picked = next(batches, None)
            self.data += time.perf_counter() - begun
            if picked is None:
                return
            yield picked

    def profile(self, steps: int) -> dict[str, float]:
        watched = {"monitor_seconds": self.watching} if self.watching else {}
        if steps <= CHUNK:
            return {"steady_seconds": self.training, "steady_steps": float(steps), "data_seconds": self.data, **watched}
        steady = {"steady_seconds": self.training - self.first, "steady_steps": float(steps - CHUNK)}
        return {"warmup_seconds": self.first, "warmup_steps": float(CHUNK), **steady, "data_seconds": self.data, **watched}


def train(  # noqa: PLR0913  # what a training is: a network, data, a recipe, a loss; how long, from which seed, who watches
    model: nn.Module,
    data: TrainingSet,
    recipe: Recipe,
    loss: Loss,
    *,
    steps: int,
    seed: int,
    progress: Progress,
    lr_factor: float = 1.0,
    watch: Watch | None = None,
) -> Trained:
    """Train in place for `steps` steps. NotFinite if it diverges. `watch` changes nothing: where it looks, a chunk is cut in two."""
    optimizer = recipe.optimizer.build(model.parameters())
    rates = [lr_factor * recipe.optimizer.lr * recipe.schedule.factor(step, steps) for step in range(steps)]
    losses = torch.zeros(steps, device=data.rows.device)
    penalised = [p for p in model.parameters() if p.dim() > 1] if recipe.l1 else []
    precision = precision_of(recipe, data.rows.device)
    model.train()
    clock = _Clock()
    with data.batches(recipe.batch, steps, seed) as batches:
        waited = clock.waited(batches)
        for start, done in _chunks(steps, watch.at if watch is not None else ()):
            chunk = zip(itertools.islice(waited, done - start), rates[start:done], strict=True)
            train_chunk(model, data, optimizer, loss, chunk, losses[start:done], precision, penalised=penalised, l1=recipe.l1)
            if not bool(losses[start:done].isfinite().all()):
                raise NotFinite(f"the training loss is not finite after {done} of {steps} steps: try a smaller learning rate")
            clock.training += clock.lap()  # looking at the losses has waited for the device
            clock.first = clock.training if done <= CHUNK else clock.first
            progress(done, steps, losses)
            if watch is not None and done in watch.at:
                clock.training += clock.lap()
                watch.look(model, done)
                clock.watching += clock.lap()
        clock.training += clock.lap()
    return Trained(losses.cpu(), clock.profile(steps))


def _chunks(steps: int, watched: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First step and end of each chunk: CHUNK steps, fewer where somebody looks on."""
    return itertools.pairwise([0, *sorted({*range(CHUNK, steps, CHUNK), *watched, steps})])


def train_chunk(  # noqa: PLR0913  # the innards of `train`, apart so that benchmarks can time them
    model: nn.Module,
    data: TrainingSet,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    chunk: Iterable[tuple[Picked, float]],
    losses: Tensor,
    precision: AbstractContextManager[object],
    *,
    penalised: list[nn.Parameter],
    l1: float,
) -> None:
    """Some steps in a row, without a word to the host; `chunk` has the batch and the learning rate of each."""
    penalty: Callable[[], Tensor] | None = getattr(model, "penalty", None)
    for step, (picked, rate) in enumerate(chunk):
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, labels = data.take(picked)
        with precision:
            value = loss(model(floats(inputs)), labels)
        losses[step] = value.detach()
        if penalty is not None:
            value = value + penalty()
        for weight in penalised:
            value = value + l1 * weight.abs().sum()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        optimizer.step()


def precision_of(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """Around the forward pass and the loss: nothing, or autocast to bfloat16 while weights and gradients stay float32."""
    if recipe.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def floats(inputs: Tensor) -> Tensor:
    """Images in uint8 to float32 in [0, 1]; features as they are."""
    return inputs.float().div_(255) if inputs.dtype == torch.uint8 else inputs


@torch.inference_mode()
def log_probabilities(model: nn.Module, inputs: ImageSource, rows: Tensor, *, batch: int = EVALUATION_BATCH) -> Tensor:
    """Log-softmax of the logits of these rows, computed in float64, float32 [rows, K] on the CPU. Evaluation mode, no gradients."""
    model.eval()
    outputs = [model(floats(part)).double().log_softmax(dim=1) for part in parts(inputs, rows, batch)]
    return torch.cat(outputs).float().cpu()


@torch.inference_mode()
def head_inputs(model: nn.Module, inputs: ImageSource, rows: Tensor, *, batch: int = EVALUATION_BATCH) -> Tensor:
    """What reaches the model's `head` for these rows, float32 on the CPU. Evaluation mode, no gradients; images as in testing."""
    model.eval()
    with catching(model) as caught:
        for part in parts(inputs, rows, batch):
            model(floats(part))
    return torch.cat(caught)


@contextlib.contextmanager
def catching(model: nn.Module, limit: int | None = None) -> Iterator[list[Tensor]]:
    """What reaches the `head` meanwhile, batch by batch, float32 on the CPU. Above `limit` bytes all of it is let go."""
    caught: list[Tensor] = []
    seen = 0

    def look(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        nonlocal seen
        seen += given[0].numel() * 4
        if limit is None or seen <= limit:
            caught.append(given[0].float().cpu())
        else:
            caught.clear()

    hook = model.get_submodule("head").register_forward_pre_hook(look)
    try:
        yield caught
    finally:
        hook.remove()
