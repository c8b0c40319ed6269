"""What the network of a stage is fed with: images, or kept features of a frozen base where they serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from benchmark import registry
from benchmark.errors import DataError
from benchmark.execute.features import Features
from benchmark.execute.inputs import Inputs, Source
from benchmark.execute.sources import ImageSource
from benchmark.identity import canonical
from benchmark.models import Model
from benchmark.recipe import Recipe
from benchmark.stages import Stage

TRAIN_ON_IMAGES = frozenset({"train", "finetune-through"})
"""Operations in which a recipe's augmentation acts."""


@dataclass
class Feed:
    """Inputs of stages. A stage that augments sees images; others of the same frozen base see its features: the weights fit both."""

    _inputs: Inputs
    channels_last: bool = True
    """Layout in which a base is run."""

    def source(self, spec: Mapping[str, Any]) -> Source:
        """The data set of this description."""
        return self._inputs.source(spec)

    def inputs(self, stage: Stage) -> ImageSource:
        """Images [N, C, H, W] or features [N, D], on the device or streamed to it."""
        if on_features(stage):
            return self._features(stage).values_ND
        return self._inputs.of(stage.chain[0].config)

    def base_facts(self, stage: Stage) -> Mapping[str, float]:
        """Of the base whose features a stage is fed with; nothing where it is fed with images."""
        return self._features(stage).facts if on_features(stage) else {}

    def _features(self, stage: Stage) -> Features:
        trained = stage.chain[0]
        return self._inputs.features(trained.config, model_of(trained), channels_last=self.channels_last)


def on_features(stage: Stage) -> bool:
    """Whether a stage works on kept features: never a training whose images are augmented, nor where pixels are each cell's own."""
    recipe = recipe_of(stage.chain[0].config)
    distorts = recipe.augment is not None and stage.op in TRAIN_ON_IMAGES
    own_pixels = recipe.preprocess is not None and recipe.preprocess.fit == "cell"
    return not distorts and not own_pixels and model_of(stage.chain[0]).base_identity() is not None


def fed_shape(stage: Stage) -> tuple[int, ...]:
    """Shape of what the network of a stage is fed with, without reading anything."""
    trained = stage.chain[0]
    return (model_of(trained).base_width(),) if on_features(stage) else tuple(trained.config["image_shape"])


def model_of(trained: Stage) -> Model:
    """The model of a training. DataError where a file of weights is not the one that it was planned with."""
    model = cast(Model, registry.build("models", trained.config["model"]))
    if canonical(model.science) != canonical(trained.science["model"]):
        raise DataError(f"the weights of model '{model.name}' have changed since this was planned: issue the command again.")
    return model


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """The recipe of a training."""
    given = {name: value for name, value in config["recipe"].items() if value is not None}
    return registry.build_fields(Recipe, given, what="recipe")
