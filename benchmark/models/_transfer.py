"""What models with a base from elsewhere share: weights, freezing, the head, penalties."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from benchmark import seeds
from benchmark.errors import InvalidValue
from benchmark.models import Model
from benchmark.models._weights import NONE, fill, weights_identity
from benchmark.registry import parameter, parameters_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from benchmark.models._body import Prepared

_NOT_INITIAL = ("dropout", "l1", "l2", "penalty_on", "keep_features")


@dataclass(frozen=True, kw_only=True)
class Transfer(Model, ABC):
    """A base that gives features, then a dense layer with ReLU, dropout and a linear head.

    A frozen base runs in evaluation mode, its batch norms by their stored statistics. It is run once on each image, and heads are trained
    on the kept features: cells that differ in seed, split, imbalance, head or regularisation share them. Images that a recipe augments
    go through the base at every step. A random frozen base (`weights: none`) is a function of `weights_seed` alone.
    """

    dropped: ClassVar[tuple[str, ...]] = ("head", "dense")
    """Under these names lies what a file of weights has beyond the base."""

    weights: str = parameter(
        "imagenet", doc="imagenet (torchvision's), none (random), or the path of a state dict (.safetensors, .pt, .pth)"
    )
    weights_seed: int = parameter(
        0, doc="of a random frozen base: the same for every seed of the suite, so that features are shared", low=0
    )
    freeze: bool = parameter(True, doc="train the head alone; off: fine-tune everything")
    keep_features: bool = parameter(
        True, doc="run a frozen base once on each image; off: at every step, so that time and memory are those of the whole network"
    )
    size: int = parameter(32, doc="side to which images are resized (bilinear); grey images are repeated three times", low=8, high=1024)
    normalise: str = parameter(
        "unit", doc="unit: pixels / 255; imagenet: mean and deviation of ImageNet's colours as well", choices=("unit", "imagenet")
    )
    head: int | Literal["linear"] = parameter(1024, doc="units of a dense layer with ReLU before the last layer; linear: none", low=1)
    l1: float = parameter(0.0, doc="added to the loss: l1 times the sum of |w|", low=0, log=True)
    l2: float = parameter(0.0, doc="added to the loss: l2 times the sum of w²", low=0, log=True)
    penalty_on: str = parameter(
        "dense",
        doc="whose kernels l1 and l2 are on: the dense layer's, those after the base, or all that learn",
        choices=("dense", "head", "all"),
    )

    @functools.cached_property
    def science(self) -> Mapping[str, Any]:
        """As of every plug-in, and a file of weights by its content."""
        return {self.name: {**parameters_of(self, identity=True), "weights": weights_identity(self.weights)}}

    def init_identity(self) -> Mapping[str, Any]:
        """Not of regularisation, nor of whether features are kept: heads that are compared begin with the same weights."""
        own = self.science[self.name]
        return {self.name: {name: value for name, value in own.items() if name not in _NOT_INITIAL}}

    def base_identity(self) -> Mapping[str, Any] | None:
        if not (self.freeze and self.keep_features):
            return None
        names = ("size", "normalise", *(("weights_seed",) if self.weights == NONE else ()), *self.architecture)
        own = self.science[self.name]
        return {"model": self.name, "weights": own["weights"], **{name: own[name] for name in names}, "code": self.code}

    @property
    def architecture(self) -> tuple[str, ...]:
        """The parameters that say which network the base is."""
        return ()

    @abstractmethod
    def random_base(self) -> nn.Module:
        """The base from images [N, 3, size, size] to features, by the global generator."""

    @abstractmethod
    def base_width(self) -> int:
        """Features that the base gives, D."""

    @abstractmethod
    def pretrained(self) -> Mapping[str, Tensor]:
        """The state dict that `weights` means; only where it is not `none`."""

    def check(self, image_shape: tuple[int, int, int], num_classes: int) -> None:  # noqa: ARG002  # any number of classes will do
        if image_shape[0] not in (1, 3):
            raise InvalidValue(f"{self.name} takes grey or colour images, found {image_shape[0]} channels.")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        learner: Any = self.build_on_features(self.base_width(), num_classes)  # first, so that its weights do not depend on the base
        base = self.build_base(image_shape) if self.freeze else self._base()
        module: nn.Module = learner.begin_with(base, freeze=self.freeze)
        self._penalise(module)
        return module

    def build_on_features(self, width: int, num_classes: int) -> nn.Module:
        from benchmark.models._body import Learner

        learner = Learner(width, num_classes, dense=None if self.head == "linear" else self.head, dropout=self.dropout)
        self._penalise(learner)
        return learner

    def build_base(self, image_shape: tuple[int, int, int]) -> nn.Module:  # noqa: ARG002  # it takes images of every size
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeds.stream_seed("init", self.name, self.weights_seed))
            return self._base().requires_grad_(False).eval()

    def _base(self) -> Prepared:
        from benchmark.models._body import Prepared, calibrate

        base = self.random_base()
        if self.weights != NONE:
            fill(base, self.pretrained(), what=self.name, dropped=self.dropped)
        elif self.freeze:
            calibrate(base, self.size)
        return Prepared(base, self.size, imagenet=self.normalise == "imagenet")

    def _penalise(self, module: Any) -> None:
        module.penalise(self.penalty_on, self.l1, self.l2)
