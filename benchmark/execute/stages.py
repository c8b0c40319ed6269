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
from benchmark.draw import Split, draw, resample
from benchmark.execute.context import Machine
from benchmark.execute.curves import curve
from benchmark.execute.distortion import Distortion
from benchmark.execute.feed import Feed, fed_shape, model_of, recipe_of
from benchmark.execute.frozen import Frozen, second_phase
from benchmark.execute.inputs import Inputs
from benchmark.execute.loop import (
    KEPT_BYTES,
    Progress,
    Trained,
    TrainingSet,
    catching,
    head_inputs,
    log_probabilities,
    train,
)
from benchmark.execute.macs import macs_per_image
from benchmark.execute.monitor import monitor_of
from benchmark.execute.profiling import Meter, rates
from benchmark.execute.rungs import Watcher, watch_of
from benchmark.execute.sources import ImageSource
from benchmark.identity import canonical
from benchmark.imbalances import Imbalance
from benchmark.methods import Loss, Method
from benchmark.recipe import Recipe
from benchmark.records import Folders
from benchmark.stages import Stage, problem_of
from benchmark.tasks import FIXED, Execution

READ_IMAGES = frozenset({"train", "predict", "features", "finetune-through"})
"""Operations that look at images; the others work on what these have made."""


@dataclass(frozen=True)
class StageResult:
    """What a stage leaves behind."""

    arrays: Arrays
    facts: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A network as it is stored and as it is run: the same object, unless it is compiled."""

    module: nn.Module
    run: nn.Module | None = None

    @property
    def forward(self) -> nn.Module:
        return self.run or self.module


@dataclass
class Executor:
    """Runs stages on one machine; keeps the last data set on the device, since stages that share it come in a row."""

    machine: Machine
    folders: Folders
    execution: Execution = FIXED
    watcher: Watcher | None = None
    """Who judges the next training on the way."""
    _feed: Feed = field(init=False)
    _networks: dict[str, Network] = field(default_factory=dict)
    """Compiled ones, by architecture."""
    _caught: tuple[str, dict[str, Tensor]] = field(default_factory=lambda: ("", {}))
    """The last training that was predicted by, and what reached its head, by part."""
    _macs: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._feed = Feed(Inputs(self.machine.device, self.folders))

    def run(self, stage: Stage, parent: Arrays, progress: Progress, execution: Execution = FIXED) -> StageResult:
        """Compute one stage. Exceptions pass through: the runner records them."""
        self.adopt(execution)
        if stage.op in READ_IMAGES:
            self._feed.inputs(stage)  # reading and preprocessing images, and features that many cells share, are no part of a method's time
        meter = Meter(self.machine.device)
        device = torch.device(self.machine.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # naming other GPUs would open a context on each
            result = _OPERATIONS[stage.op](self, stage, parent, progress)
        profile = rates({**meter.read(), **result.profile})
        return StageResult(result.arrays, result.facts, profile)

    def adopt(self, execution: Execution) -> None:
        """Compute what follows under this execution profile."""
        self.execution, self._feed.channels_last = execution, execution.channels_last
        if torch.get_num_threads() != execution.threads:
            torch.set_num_threads(execution.threads)

    def train(self, stage: Stage, _: Arrays, progress: Progress) -> StageResult:
        self._caught = ("", {})
        config = stage.config
        split, images, labels = self._split(stage)
        recipe = recipe_of(config)
        rows = self._on_device(_sampled(split, stage.science))
        model = self.network(stage, tuple(images.shape[1:]))
        torch.manual_seed(seeds.stream_seed("dropout", stage.stream_key))
        data = self._training_set(stage, recipe, images, labels, rows)
        loss = self._loss(config, recipe)
        order = seeds.stream_seed("order", stage.stream_key)
        monitor = monitor_of(recipe, config["steps"], split, images, labels)
        judged = self.watcher.rungs_of(config["steps"], split, images) if self.watcher else None
        watch = watch_of(monitor, judged)
        trained = train(model.forward, data, recipe, loss, steps=config["steps"], seed=order, progress=progress, watch=watch)
        facts = {"curve": curve(trained.losses), **self._size(model.module, tuple(images.shape[1:]), self._feed.base_facts(stage))}
        facts |= {"history": monitor.history} if monitor else {}
        base = {f"base_{name}": value for name, value in self._feed.base_facts(stage).items() if name in ("seconds", "images")}
        return StageResult(_state(model.module), facts, {**trained.profile, **base, "batch": float(recipe.batch)})

    def predict(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        trained = stage.chain[0]
        split, images, _ = self._split(stage)
        network = self._trained(trained, parent, images)
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        parts = {"test": split.test, "validation": split.validation}
        self._caught = (trained.key, {})
        limit = KEPT_BYTES if self.machine.device == "cpu" else 0  # from a GPU every batch would be copied, for a stage that may not come
        for done, (part, rows) in enumerate(parts.items(), start=1):
            if len(rows):
                with catching(network.module, limit) as caught:
                    arrays[f"{part}.scores"] = log_probabilities(network.forward, images, self._on_device(rows)).numpy()
                self._caught[1].update({part: torch.cat(caught)} if caught and network.run is None else {})
                arrays[f"{part}.labels"] = split.labels_N[rows]
            progress(done, len(parts))
        return StageResult(arrays, {}, {"images": float(sum(map(len, parts.values())))})

    def features(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        """What reaches the head, for every image that phase 2 and the scores need: the body is not run again.

        Where this process has just predicted by the same network, what reached the head then is taken: the same bits, computed once.
        """
        trained = stage.chain[0]
        split, images, _ = self._split(stage)
        model = self._trained(trained, parent, images).module
        arrays = {f"head.{name}": array for name, array in _state(model.get_submodule("head")).items()}
        parts = {"train": split.train, "test": split.test, "validation": split.validation}
        known = self._caught[1] if self._caught[0] == trained.key else {}
        for done, (part, rows) in enumerate(parts.items(), start=1):
            if len(rows):
                found = known.get(part)
                arrays[f"{part}.features"] = (head_inputs(model, images, self._on_device(rows)) if found is None else found).numpy()
                arrays[f"{part}.labels"] = split.labels_N[rows]
            progress(done, len(parts))
        self._caught = ("", {})
        return StageResult(arrays, {}, {"images": float(sum(map(len, parts.values())))})

    def finetune(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        """Train the head on the features of the imbalanced set; what it then says of the other parts."""
        head = self._head(stage.chain[0], parent)
        inputs, labels = (self._on_device(parent[f"train.{name}"]) for name in ("features", "labels"))
        data = TrainingSet(inputs, labels, torch.arange(len(labels), device=labels.device))
        phase = second_phase(stage, recipe_of(stage.chain[0].config), head, data, progress)
        arrays = {f"head.{name}": array for name, array in _state(head).items()}
        for part in ("test", "validation"):
            if f"{part}.features" in parent:
                inputs = self._on_device(parent[f"{part}.features"])
                arrays[f"{part}.scores"] = log_probabilities(head, inputs, torch.arange(len(inputs), device=inputs.device)).numpy()
                arrays[f"{part}.labels"] = np.array(parent[f"{part}.labels"])
        return _head_result(stage, arrays, phase)

    def finetune_through(self, stage: Stage, parent: Arrays, progress: Progress) -> StageResult:
        """Train the head on the images of the imbalanced set, through the frozen part with its dropout; what the network then says."""
        trained = stage.chain[0]
        split, images, labels = self._split(stage)
        network = self._placed(trained, tuple(images.shape[1:]))  # not the compiled one: that lends itself to other trainings
        network.load_state_dict(_tensors(parent))
        data = self._training_set(stage, recipe_of(trained.config), images, labels, self._on_device(split.train))
        phase = second_phase(stage, recipe_of(trained.config), Frozen(network), data, progress)
        arrays = {f"head.{name}": array for name, array in _state(network.get_submodule("head")).items()}
        for part, rows in {"test": split.test, "validation": split.validation}.items():
            if len(rows):
                arrays[f"{part}.scores"] = log_probabilities(network, images, self._on_device(rows)).numpy()
                arrays[f"{part}.labels"] = split.labels_N[rows]
        return _head_result(stage, arrays, phase)

    def adjust(self, stage: Stage, parent: Arrays, _: Progress) -> StageResult:
        """In float64: float32 cannot hold log p - offset near p = 1 and would tie images that the network tells apart."""
        offset_K = np.asarray(stage.config["offset"], dtype=np.float64)
        adjusted = {name: np.subtract(a, offset_K, dtype=np.float64) if name.endswith(".scores") else a for name, a in parent.items()}
        return StageResult(adjusted)

    # -- what the operations share

    def _split(self, stage: Stage) -> tuple[Split, ImageSource, Tensor]:
        """The rows of each part, images on the device or streamed to it (or features in their place), and labels on the device."""
        config = stage.chain[0].config
        source = self._feed.source(config["dataset"])
        imbalance = cast(Imbalance, registry.build("imbalances", config["imbalance"]))
        split = draw(source.dataset, source.info, source.images, imbalance, config["seed"])
        drawn = np.bincount(split.labels_N[split.train], minlength=len(config["class_counts"]))
        assert tuple(drawn) == tuple(config["class_counts"]), f"drawn {drawn}, planned {config['class_counts']}"
        return split, self._feed.inputs(stage), torch.from_numpy(split.labels_N).to(self.machine.device)

    def _training_set(self, stage: Stage, recipe: Recipe, images: ImageSource, labels: Tensor, rows: Tensor) -> TrainingSet:
        seed = seeds.stream_seed("augment", stage.stream_key)
        return TrainingSet(images, labels, rows, augment=seed, distort=Distortion(recipe.augment, seed) if recipe.augment else None)

    def _size(self, module: nn.Module, shape: tuple[int, ...], base: Mapping[str, float]) -> dict[str, int]:
        """Parameters and multiply-accumulates per image, a frozen base's included; counted once per architecture."""
        parameters = sum(p.numel() for p in module.parameters())
        key = f"{type(module).__qualname__} {parameters} {shape} {module}"
        if key not in self._macs:
            self._macs[key] = macs_per_image(module, shape)
        frozen = getattr(module, "num_frozen", 0) + int(base.get("parameters", 0))
        return {"parameters": parameters + frozen, "macs": self._macs[key] + int(base.get("macs", 0))}

    def network(self, stage: Stage, shape: tuple[int, ...]) -> Network:
        """The network of a training with its initial weights, which depend on (model, seed) alone: the same for every method."""
        torch.manual_seed(seeds.stream_seed("init", canonical(model_of(stage).init_identity()), stage.science["seed"]))
        module = self._placed(stage, shape)
        return self._compiled(module, canonical([stage.config["model"], list(shape)])) if self.execution.compiled else Network(module)

    def _placed(self, stage: Stage, shape: tuple[int, ...]) -> nn.Module:
        module = self._built(stage, shape).to(self.machine.device)
        return module.to(memory_format=torch.channels_last) if self.execution.channels_last else module

    def _built(self, stage: Stage, shape: tuple[int, ...]) -> nn.Module:
        model, num_classes = model_of(stage), len(stage.config["class_counts"])
        if len(shape) == 1:
            return model.build_on_features(shape[0], num_classes)
        channels, height, width = shape
        return model.build((channels, height, width), num_classes)

    def _compiled(self, module: nn.Module, architecture: str) -> Network:
        """Compiled once per architecture: a later network of the same kind lends its weights to the one that is compiled."""
        torch.use_deterministic_algorithms(mode=True)  # the compiler's choices too; importing it is paid by those who compile
        if architecture not in self._networks:
            self._networks[architecture] = Network(module, cast(nn.Module, torch.compile(module)))
        network = self._networks[architecture]
        network.module.load_state_dict(module.state_dict())
        return network

    def _trained(self, stage: Stage, weights: Arrays, images: ImageSource) -> Network:
        network = self.network(stage, tuple(images.shape[1:]))
        network.module.load_state_dict(_tensors(weights))
        return network

    def _head(self, stage: Stage, arrays: Arrays) -> nn.Module:
        """The last layer alone, with the weights of phase 1."""
        head = cast(nn.Module, self._built(stage, fed_shape(stage)).head)
        head.load_state_dict(_tensors({name[5:]: array for name, array in arrays.items() if name.startswith("head.")}))
        return head.to(self.machine.device)

    def _on_device(self, array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self.machine.device)

    def _loss(self, config: Mapping[str, Any], recipe: Recipe) -> Loss:
        if config["loss"] is None:
            return torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        channels, height, width = config["image_shape"]
        problem = problem_of(recipe, tuple(config["class_counts"]), tuple(config["class_names"]), (channels, height, width))
        return cast(Method, registry.build("methods", config["loss"])).loss(problem)


_OPERATIONS: Mapping[str, Callable[[Executor, Stage, Arrays, Progress], StageResult]] = {
    "train": Executor.train,
    "predict": Executor.predict,
    "features": Executor.features,
    "finetune": Executor.finetune,
    "finetune-through": Executor.finetune_through,
    "adjust": Executor.adjust,
}


def _sampled(split: Split, science: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    if science["sampled"] is None:
        return split.train
    parts = (canonical(science["dataset"]), canonical(science["imbalance"]), science["seed"])
    return split.train[resample(split.labels_N[split.train], tuple(science["sampled"]), *parts)]


def _state(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def _head_result(stage: Stage, arrays: Arrays, phase: Trained) -> StageResult:
    batch = float(stage.chain[0].config["recipe"]["batch"])
    return StageResult(arrays, {"curve": curve(phase.losses)}, {**phase.profile, "batch": batch})
