"""One function per kind of stage: from its configuration and its parent's arrays to arrays, small facts and a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from benchmark import registry, seeds
from benchmark.arrays import Arrays
from benchmark.datasets import Dataset
from benchmark.draw import Split, draw, resample
from benchmark.execute.context import Machine
from benchmark.execute.loop import Progress, TrainingSet, log_probabilities, train
from benchmark.execute.profiling import Meter
from benchmark.identity import canonical
from benchmark.imbalances import Imbalance
from benchmark.methods import Loss, Method
from benchmark.models import Model
from benchmark.recipe import Recipe
from benchmark.records import DatasetInfo, Folders, Images
from benchmark.stages import Stage, problem_of

CURVE_POINTS = 100


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    arrays: Arrays
    facts: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Executor:
    """Runs stages on one machine; keeps the last data set on the device, since stages that share it come in a row."""

    machine: Machine
    folders: Folders
    _data: tuple[str, DatasetInfo, Images, Tensor] | None = None

    def run(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        """Compute one stage. Exceptions pass through: the runner records them."""
        if stage.op != "adjust":
            self._load(cast(Mapping[str, Any], stage.chain[0].config["dataset"]))  # reading data is no part of a method's time
        meter = Meter(self.machine.device)
        device = torch.device(self.machine.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # naming other GPUs would open a context on each
            result = _OPERATIONS[stage.op](self, stage, parent, progress)
        profile = {**meter.read(), **result.profile}
        if "images" in profile:
            profile["images_per_second"] = profile.pop("images") / profile["seconds"]
        return StageResult(result.arrays, result.facts, profile)

    def train(self, stage: Stage, _: Arrays, progress: Progress) -> StageResult:
        config = stage.config
        split, images, labels = self._split(config)
        recipe = _recipe(config)
        rows = torch.from_numpy(_sampled(split, stage.science)).to(self.machine.device)
        model = self._model(stage, images)
        torch.manual_seed(seeds.stream_seed("dropout", stage.science_key))
        data = TrainingSet(images, labels, rows)
        loss = self._loss(config, images, recipe)
        order = seeds.stream_seed("order", stage.science_key)
        losses = train(model, data, recipe, loss, steps=config["steps"], seed=order, progress=progress)
        facts = {"curve": curve(losses), "parameters": sum(p.numel() for p in model.parameters())}
        return StageResult(_state(model), facts, {"images": float(config["steps"] * recipe.batch)})

    def predict(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        trained = stage.chain[0]
        split, images, _ = self._split(trained.config)
        model = self._model(trained, images)
        model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in parent.items()})
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        parts = {"test": split.test, "validation": split.validation}
        for done, (part, rows) in enumerate(parts.items(), start=1):
            if len(rows):
                on_device = torch.from_numpy(rows).to(self.machine.device)
                arrays[f"{part}.scores"] = log_probabilities(model, images, on_device).numpy()
                arrays[f"{part}.labels"] = split.labels_N[rows]
            progress(done, len(parts))
        return StageResult(arrays, {}, {"images": float(sum(map(len, parts.values())))})

    def adjust(self, stage: Stage, parent: Arrays, _: Progress) -> StageResult:
        """In float64: float32 cannot hold log p - offset near p = 1 and would tie images that the network tells apart."""
        offset_K = np.asarray(stage.config["offset"], dtype=np.float64)
        adjusted = {name: np.subtract(a, offset_K, dtype=np.float64) if name.endswith(".scores") else a for name, a in parent.items()}
        return StageResult(adjusted)

    # -- what the operations share

    def _split(self, config: Mapping[str, Any]) -> tuple[Split, Tensor, Tensor]:
        """The rows of each part, and images and labels on the device."""
        info, images, on_device = self._load(config["dataset"])
        dataset = cast(Dataset, registry.build("datasets", config["dataset"]))
        imbalance = cast(Imbalance, registry.build("imbalances", config["imbalance"]))
        split = draw(dataset, info, images, imbalance, config["seed"])
        drawn = np.bincount(split.labels_N[split.train], minlength=len(config["class_counts"]))
        assert tuple(drawn) == tuple(config["class_counts"]), f"drawn {drawn}, planned {config['class_counts']}"
        return split, on_device, torch.from_numpy(split.labels_N).to(self.machine.device)

    def _load(self, spec: Mapping[str, Any]) -> tuple[DatasetInfo, Images, Tensor]:
        text = canonical(spec)
        if self._data is None or self._data[0] != text:
            dataset = cast(Dataset, registry.build("datasets", spec))
            images = dataset.load(self.folders)
            self._data = (text, dataset.info(self.folders), images, _on_device(images, self.machine.device))
        return self._data[1:]

    def _model(self, stage: Stage, images: Tensor) -> nn.Module:
        """The network with its initial weights, which depend on (model, seed) alone: the same for every method."""
        model = cast(Model, registry.build("models", stage.config["model"]))
        torch.manual_seed(seeds.stream_seed("init", canonical(stage.science["model"]), stage.science["seed"]))
        channels, height, width = images.shape[1:]
        return model.build((channels, height, width), len(stage.config["class_counts"])).to(self.machine.device)

    def _loss(self, config: Mapping[str, Any], images: Tensor, recipe: Recipe) -> Loss:
        if config["loss"] is None:
            return torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        channels, height, width = images.shape[1:]
        problem = problem_of(recipe, tuple(config["class_counts"]), tuple(config["class_names"]), (channels, height, width))
        return cast(Method, registry.build("methods", config["loss"])).loss(problem)


_OPERATIONS: Mapping[str, Callable[[Executor, Stage, Arrays, Progress], StageResult]] = {
    "train": Executor.train,
    "predict": Executor.predict,
    "adjust": Executor.adjust,
}


def curve(losses: Tensor) -> list[tuple[int, float]]:
    """(step, mean loss since the point before), at most CURVE_POINTS of them."""
    parts = losses.double().tensor_split(min(CURVE_POINTS, len(losses)))
    ends = np.cumsum([len(part) for part in parts])
    return [(int(end), float(part.mean())) for end, part in zip(ends, parts, strict=True)]


def _sampled(split: Split, science: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    if science["sampled"] is None:
        return split.train
    parts = (canonical(science["dataset"]), canonical(science["imbalance"]), science["seed"])
    return split.train[resample(split.labels_N[split.train], tuple(science["sampled"]), *parts)]


def _recipe(config: Mapping[str, Any]) -> Recipe:
    given = {name: value for name, value in config["recipe"].items() if value is not None}
    return registry.build_fields(Recipe, given, what="recipe")


def _on_device(images: Images, device: str) -> Tensor:
    array = images.images_NCHW
    if isinstance(array, np.memmap) and not array.flags.writeable:  # torch wants writable memory: map it again, copy on write
        assert array.filename is not None
        array = np.memmap(array.filename, dtype=np.uint8, mode="c", offset=array.offset, shape=array.shape)
    return torch.from_numpy(array).to(device)


def _state(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
