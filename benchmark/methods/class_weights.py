"""Cost-sensitive cross-entropy: each class weighted by a power of its inverse frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.methods import Method, Step, Train
from benchmark.records import Problem
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.methods import Loss


@plugin("class-weights")
class ClassWeights(Method):
    """Cross-entropy with weights w_c ∝ n_c^-power, scaled so that the average over the training images is one.

    power = 1 is scikit-learn's `balanced`: w_c = N / (K n_c). Over a batch the losses are combined as
    Σ w_y CE / Σ w_y (`weighted-mean`, torch's and most published code's) or as Σ w_y CE / B (`mean`): the second follows the
    weighted risk exactly, but one rare image with a weight of 50 can then make training diverge at a rate that suits the other methods.
    """

    source = "King & Zeng 2001; scikit-learn class_weight='balanced'; notes on reduction: torch.nn.functional.cross_entropy"

    power: float = parameter(1.0, doc="exponent of the inverse class frequency; 0 is no weighting", low=0, high=2)
    reduction: str = parameter("weighted-mean", doc="how a batch's losses are combined", choices=("weighted-mean", "mean"))

    def steps(self, problem: Problem) -> tuple[Step, ...]:  # noqa: ARG002  # the loss reads the problem
        return (Train(by=self, own_loss=True),)

    def weights(self, problem: Problem) -> tuple[float, ...]:
        """One weight per class, with sum_c n_c w_c = sum_c n_c; 0 for a class without images."""
        raw = [n**-self.power if n else 0.0 for n in problem.class_counts]
        scale = sum(problem.class_counts) / sum(n * w for n, w in zip(problem.class_counts, raw, strict=True))
        return tuple(scale * w for w in raw)

    def loss(self, problem: Problem) -> Loss:
        import torch
        from torch.nn.functional import cross_entropy

        weights = torch.tensor(self.weights(problem))

        def weighted(logits: Tensor, labels: Tensor) -> Tensor:
            nonlocal weights
            weights = weights.to(logits.device)
            each = cross_entropy(logits, labels, weight=weights, label_smoothing=problem.label_smoothing, reduction="none")
            return each.mean() if self.reduction == "mean" else each.sum() / weights[labels].sum()

        return weighted
