"""Contract checks of the plug-ins that need torch: models, methods, optimizers. Shape suffixes: N images, K classes, D features."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.methods import Adjust, Finetune, Method, Step, Train
from benchmark.models import Model
from benchmark.optimizers import Optimizer
from benchmark.records import Problem

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmark.methods import Loss

SHAPES = ((1, 28, 28), (3, 32, 32), (3, 224, 224))
"""Grey, colour, and, where both are refused, large: a model must take at least one."""
TINY = ((1, 1, 1), (3, 3, 3))


def model_problems(model: Model) -> Iterator[str]:
    """Shapes, gradients, seeded initialisation, the head, and images that are too small (`check` must say so, not `build`)."""
    import torch

    with torch.random.fork_rng(devices=[]):
        accepted = 0
        for shape in SHAPES[:2]:
            found = _built(model, shape, seed=0)
            if found is not None:
                accepted += 1
                yield from _module_problems(model, found, shape)
        if not accepted:
            found = _built(model, SHAPES[2], seed=0)
            if found is None:
                yield f"refuses every image shape tried: {', '.join(map(str, SHAPES))}."
            else:
                yield from _module_problems(model, found, SHAPES[2])
        for shape in TINY:
            yield from _tiny_problems(model, shape)


def _built(model: Model, shape: tuple[int, int, int], *, seed: int, num_classes: int = 5) -> nn.Module | None:
    import torch

    try:
        model.check(shape, num_classes)
    except InvalidValue:
        return None
    torch.manual_seed(seed)
    return model.build(shape, num_classes)


def _module_problems(model: Model, module: nn.Module, shape: tuple[int, int, int]) -> Iterator[str]:
    import torch

    if not isinstance(getattr(module, "head", None), torch.nn.Module):
        yield "the network has no submodule called `head`: name its last layer so."
    images = torch.rand(8, *shape)
    logits = module.train()(images)
    if logits.shape != (8, 5):
        yield f"must give logits of shape [N, K] = [8, 5] for images {[8, *shape]}, found {list(logits.shape)}."
        return
    if not logits.isfinite().all():
        yield f"gives logits that are not finite for random images {[8, *shape]}."
    torch.nn.functional.cross_entropy(logits, torch.arange(8) % 5).backward()  # type: ignore[no-untyped-call]  # untyped in torch
    for name, weights in module.named_parameters():
        if weights.requires_grad and (weights.grad is None or not weights.grad.any()):
            yield f"no gradient reaches the parameter '{name}' on images {[8, *shape]}."
    yield from _evaluation_problems(module, images)
    if any(not torch.equal(a, b) for a, b in zip(_weights(model, shape), _weights(model, shape), strict=True)):
        yield "has other initial weights for the same seed: take all randomness from torch's default generator."


def _weights(model: Model, shape: tuple[int, int, int]) -> list[Tensor]:
    module = _built(model, shape, seed=0)
    return [] if module is None else list(module.state_dict().values())


def _evaluation_problems(module: nn.Module, images: Tensor) -> Iterator[str]:
    import torch

    yield from _head_problems(module.eval(), images)
    with torch.no_grad():
        logits = module(images)
        single = module(images[:1])
    if single.shape != (1, 5):
        yield f"must take a single image: logits [1, 5] in evaluation, found {list(single.shape)}."
    elif not torch.allclose(single, logits[:1], rtol=1e-3, atol=1e-4):
        yield "gives an image other logits in evaluation when other images stand beside it."


def _head_problems(module: nn.Module, images: Tensor) -> Iterator[str]:
    """Methods that train the head alone run it on what reaches it: nothing may come after it, and it must be called once."""
    import torch

    head = getattr(module, "head", None)
    if not isinstance(head, torch.nn.Module):
        return
    caught: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    with torch.no_grad():
        logits = module(images)
        hook.remove()
        if len(caught) != 1:
            yield f"`head` must be called once in a forward pass, found {len(caught)} times."
        elif not torch.equal(head(caught[0]), logits):
            yield "`head` must be the last layer: its output must be the network's, with nothing after it."


def _tiny_problems(model: Model, shape: tuple[int, int, int]) -> Iterator[str]:
    import torch

    try:
        module = _built(model, shape, seed=0)
        if module is not None:
            module.eval()(torch.rand(2, *shape))
    except Exception as error:  # whatever torch raises here is the finding
        yield f"`check` must raise InvalidValue for images too small for it; {shape} ends in {type(error).__name__}: {error}"


def _problem(class_counts: tuple[int, ...]) -> Problem:
    names = tuple(f"class-{label}" for label in range(len(class_counts)))
    return Problem(class_counts=class_counts, class_names=names, image_shape=(1, 8, 8), iterations=50, batch=16)


def method_problems(method: Method) -> Iterator[str]:
    """Steps and losses on a skewed, a balanced and a large problem, one with a class of one image and one with an empty class."""
    accepted: list[Step] = []
    for counts in ((40, 7, 1), (12, 12), tuple(1000 // (label + 1) for label in range(10)), (40, 7, 0)):
        problem = _problem(counts)
        try:
            steps = method.steps(problem)
        except InvalidValue:
            continue
        wrong = list(_steps_problems(steps, problem))
        yield from wrong
        if wrong:
            return  # the other problems would show the same fault in other numbers
        accepted += steps
        if method.steps(problem) != steps:
            yield f"gives other steps the second time for the same problem (class counts {counts})."
    if not accepted:
        yield "refuses every problem tried: class counts (40, 7, 1), (12, 12) and ten classes of 1000 to 100 images."
    yield from _unused_loss_problems(accepted)


def _steps_problems(steps: tuple[Step, ...], problem: Problem) -> Iterator[str]:
    if not isinstance(steps, tuple) or not steps:
        yield f"steps must be a tuple of at least one step, found {steps!r}."
        return
    wrong = [step for step in steps if not isinstance(step, Train | Adjust | Finetune)]
    if wrong:
        yield f"every step must be a Train, an Adjust or a Finetune, found {type(wrong[0]).__name__}."
        return
    if not isinstance(steps[0], Train):
        yield f"the first step must be a Train, found {type(steps[0]).__name__}: put the steps of a base method before it."
    for step in steps:
        if not isinstance(step.by, Method):
            yield f"a step's `by` must be the method that asks for it (by=self), found {step.by!r}."
        elif isinstance(step, Train):
            yield from _train_problems(step, problem)
        elif isinstance(step, Adjust):
            yield from _offset_problems(step, problem)
        else:
            yield from _finetune_problems(step)


def _finetune_problems(step: Finetune) -> Iterator[str]:
    if not (math.isfinite(step.lr_factor) and step.lr_factor > 0):
        yield f"a Finetune's lr_factor must be more than 0, found {step.lr_factor}."


def _unused_loss_problems(steps: list[Step]) -> Iterator[str]:
    """Cross-entropy in place of the loss that a method defines would go unseen."""
    trains = [step for step in steps if isinstance(step, Train)]
    defining = {type(step.by): None for step in trains if type(step.by).loss is not Method.loss}
    for cls in defining:
        if not any(step.own_loss for step in trains if type(step.by) is cls):
            yield "defines loss(), but no step asks for it: Train(by=self, own_loss=True)."


def _offset_problems(step: Adjust, problem: Problem) -> Iterator[str]:
    if len(step.offset) != problem.num_classes or not all(map(math.isfinite, step.offset)):
        yield (
            f"an offset must be {problem.num_classes} finite numbers for class counts {problem.class_counts}, found {step.offset}: "
            "raise InvalidValue where it is undefined."
        )


def _train_problems(step: Train, problem: Problem) -> Iterator[str]:
    counts = step.class_counts
    if counts is not None:
        if len(counts) != problem.num_classes or not all(isinstance(n, int) and n >= 0 for n in counts):
            yield f"resampled counts must be {problem.num_classes} whole numbers of 0 or more, found {counts}."
        elif not any(counts):
            yield f"resampled counts leave nothing to train on: {counts} from {problem.class_counts}."
        elif any(asked and not there for asked, there in zip(counts, problem.class_counts, strict=True)):
            yield f"asks for images of a class that has none: {counts} from {problem.class_counts}."
    if step.own_loss:
        yield from _loss_problems(step.by.loss(problem), problem)


def _loss_problems(loss: Loss, problem: Problem) -> Iterator[str]:
    import torch

    num_classes = problem.num_classes
    present = [label for label, count in enumerate(problem.class_counts) if count]
    noise = torch.Generator().manual_seed(0)
    mixed = torch.tensor([present[row % len(present)] for row in range(32)])
    rarest = torch.full((4,), min(present, key=lambda label: problem.class_counts[label]))
    for labels, words in ((mixed, "on a batch of every class"), (rarest, "on a batch of the rarest class only")):
        logits = torch.randn(len(labels), num_classes, generator=noise, requires_grad=True)
        value = loss(logits, labels)
        where = f"{words}, class counts {problem.class_counts}"
        if not isinstance(value, torch.Tensor):
            yield f"the loss must be a tensor {where}, found {type(value).__name__}."
            return
        if value.shape != ():
            yield f"the loss has shape {tuple(value.shape)}: reduce it with .mean()."
            return
        if not value.isfinite():
            yield f"the loss must be a finite scalar {where}, found {value.item()}."
            return
        if not value.requires_grad:
            yield f"the loss has no gradient {where}: do not detach it."
            return
        value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        if logits.grad is None or not logits.grad.isfinite().all() or not logits.grad.any():
            yield f"the loss's gradient must be finite and not all zero {where}."
            return
    yield from _learning_problems(loss, mixed, num_classes)


def _learning_problems(loss: Loss, labels_N: Tensor, num_classes: int) -> Iterator[str]:
    """A linear model of 64 random features must learn 32 random images by heart in 100 steps of Adam."""
    import torch

    noise = torch.Generator().manual_seed(1)
    features_ND = torch.randn(len(labels_N), 64, generator=noise)
    weights_DK = torch.zeros(64, num_classes, requires_grad=True)
    optimizer = torch.optim.Adam([weights_DK], lr=0.01)
    history = []
    for _ in range(100):
        value = loss(features_ND @ weights_DK, labels_N)
        history.append(value.detach())
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()
    before, after = float(history[0]), float(history[-1])
    if not after < before:
        yield f"the loss does not fall when a linear model overfits 32 random images: {before:.4g} before, {after:.4g} after 100 steps."
    right = int(((features_ND @ weights_DK).argmax(dim=1) == labels_N).sum())
    if right < 0.75 * len(labels_N):
        yield f"a linear model trained with the loss does not learn 32 random images by heart: {right} right after 100 steps."


def optimizer_problems(optimizer: Optimizer) -> Iterator[str]:
    """One step must move every weight that has a gradient, to a finite place."""
    import torch

    weights = torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(2, 3))
    before = weights.detach().clone()
    stepper = optimizer.build([weights])
    if not isinstance(stepper, torch.optim.Optimizer):
        yield f"build must give a torch.optim.Optimizer, found {type(stepper).__name__}."
        return
    (weights**2).sum().backward()  # type: ignore[no-untyped-call]  # untyped in torch
    stepper.step()
    if not weights.isfinite().all():
        yield "one step makes the parameters not finite."
    if (weights == before).any():
        yield "one step leaves parameters as they were, though their gradient is not zero."
    if any(group["lr"] != optimizer.lr for group in stepper.param_groups):
        yield f"every parameter group must start at lr = {optimizer.lr}: the schedule multiplies that."
