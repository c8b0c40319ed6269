"""Every registered plug-in keeps its contract; plug-ins that are wrong on purpose are reported in the right words."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest

from benchmark import registry
from benchmark.contracts import check
from benchmark.datasets import Dataset
from benchmark.errors import DataError, InvalidValue
from benchmark.imbalances import Classes, Imbalance
from benchmark.methods import Adjust, Method, Train
from benchmark.metrics import Metric
from benchmark.models import Model
from benchmark.optimizers import Optimizer
from benchmark.preprocessings import Preprocessing
from benchmark.records import DatasetInfo, Folders, Images, MetricValue, Predictions, Problem
from benchmark.registry import KINDS, Plugin, parameter, plugin
from benchmark.schedules import Schedule

if TYPE_CHECKING:
    from torch import nn

P = TypeVar("P", bound=Plugin)
DRAWS = itertools.count(1)
"""A stream that never repeats: what a plug-in must not draw from."""
ENTRIES = [(kind, name) for kind in KINDS for name in registry.names(kind)]


@pytest.mark.parametrize(("kind", "name"), [entry for entry in ENTRIES if entry[0] != "datasets"])
def test_every_plugin_keeps_its_contract(kind: str, name: str) -> None:
    assert check(registry.get(kind, name)) == []


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_dataset_declares_itself_well(name: str) -> None:
    assert check(registry.get("datasets", name), example=DATASET_EXAMPLES.get(name)) == []


@pytest.mark.data
@pytest.mark.parametrize("name", registry.names("datasets"))
def test_every_dataset_keeps_its_contract(name: str, tmp_path: Path) -> None:
    cls, given = registry.get("datasets", name), DATASET_EXAMPLES.get(name, {})
    _draw_images(tmp_path / "images")
    data = [tmp_path, *map(Path, filter(None, [os.environ.get("SKEWBENCH_DATA")]))]
    folders = Folders(data=tuple(data), cache=tmp_path / "cache")
    absent = _absence(cls, given, folders)
    if absent:
        pytest.skip(f"not in SKEWBENCH_DATA: {absent}")

    assert check(cls, folders, example=given) == []


DATASET_EXAMPLES = {"image-folder": {"root": "images", "size": 8}, "image-stream": {"root": "images", "resize": 8, "crop": 6}}


def _draw_images(root: Path) -> None:
    from PIL import Image

    for part, label, number in itertools.product(("train", "test"), ("cat", "dog"), range(3)):
        folder = root / part / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (40 * number, 100, 200 if label == "cat" else 0)).save(folder / f"{number}.png")


def _absence(cls: type[Plugin], given: Mapping[str, Any], folders: Folders) -> str:
    instance = registry.build_fields(cls, given, what=cls.name)
    assert isinstance(instance, Dataset)
    try:
        instance.info(folders)
    except DataError as error:
        return str(error).partition("\n")[0]
    return ""


# -- wrong on purpose


@pytest.fixture(autouse=True)
def _leave_no_plugin_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        registry.names(kind)
    monkeypatch.setattr(registry, "_known", {kind: dict(found) for kind, found in registry._known.items()})


def made(base: type[P], **members: Any) -> type[P]:
    """A plug-in class of this kind with these members."""
    cls = type("Wrong", (base,), {"__doc__": "Wrong on purpose.", "__module__": __name__, **members})
    return plugin("wrong")(cls)


def with_share(share: Any, **members: Any) -> type[Imbalance]:
    """An imbalance with a parameter `share` declared like this."""
    counts = _keep(lambda available: available)
    return made(Imbalance, counts=counts, share=share, __annotations__={"share": "float"}, **members)


def assert_reported(cls: type[Plugin], words: str, *, folders: Folders | None = None) -> None:
    problems = check(cls, folders)

    assert any(words in problem for problem in problems), problems


def _keep(change: Callable[[tuple[int, ...]], object]) -> Callable[[Imbalance, Classes], object]:
    return lambda _, classes: change(classes.available)


def test_a_right_plugin_has_no_problems() -> None:
    assert check(made(Imbalance, counts=_keep(lambda available: available))) == []


def test_a_missing_docstring_is_reported() -> None:
    cls = made(Imbalance, counts=_keep(lambda available: available), __doc__=None)

    assert_reported(cls, "no docstring")


def test_a_bad_name_is_reported() -> None:
    cls = plugin("Bad Name")(type("Bad", (Imbalance,), {"__doc__": "Bad.", "counts": _keep(lambda n: n), "__module__": __name__}))

    assert_reported(cls, "the name 'Bad Name' is not lower-case words joined by - or _")


def test_a_parameter_without_explanation_is_reported() -> None:
    assert_reported(with_share(0.5), "the parameter 'share' has no explanation")


def test_a_default_outside_its_own_range_is_reported() -> None:
    assert_reported(with_share(parameter(2.0, doc="share", high=1)), "expected at most 1 for 'share'")


def test_a_parameter_without_default_asks_for_an_example() -> None:
    assert_reported(with_share(parameter(doc="share")), "give `example` = {'share': …}")
    assert check(with_share(parameter(doc="share"), example={"share": 0.5})) == []


def test_a_parameter_that_changes_when_it_is_read_back_is_reported() -> None:
    def halve(self: Imbalance) -> None:
        object.__setattr__(self, "share", self.share / 2)  # type: ignore[attr-defined]  # declared by with_share

    assert_reported(with_share(parameter(0.5, doc="share"), __post_init__=halve), "its parameters change when they are read back")


def test_an_error_in_a_plugin_names_its_place() -> None:
    assert_reported(made(Imbalance, counts=lambda *_: 1 // 0), f"raises ZeroDivisionError at {__file__}:")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (lambda available: tuple(n + 1 for n in available), "keeps 201 images of a class that has 200"),
        (lambda available: (0, *available[1:]), "leaves a class empty"),
        (lambda available: available[1:], "must give 2 whole numbers"),
        (lambda available: tuple(n / 2 for n in available), "must give 2 whole numbers"),
        (lambda available: tuple(next(DRAWS) % 100 + 1 for _ in available), "other counts the second time"),
    ],
)
def test_a_wrong_imbalance_is_reported(counts: Callable[[tuple[int, ...]], object], words: str) -> None:
    assert_reported(made(Imbalance, counts=_keep(counts)), words)


def test_an_imbalance_that_always_refuses_is_reported() -> None:
    def refuse(*_: object) -> None:
        raise InvalidValue("no")

    assert_reported(made(Imbalance, counts=refuse), "gives no counts for 2, 3 or 10 classes")


def _score(change: Callable[[Predictions], object]) -> Callable[[Metric, Predictions], object]:
    return lambda _, predictions: change(predictions)


def _right(predictions: Predictions) -> float:
    return float((predictions.scores_NK.argmax(axis=1) == predictions.labels_N).mean())


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda _: 0.5, "must return a MetricValue with a Python float on ordinary predictions, found 0.5: wrap it: MetricValue(0.5)."),
        (lambda _: MetricValue(float(next(DRAWS))), "differs between two calls on the same predictions"),
        (lambda p: MetricValue(np.float64(_right(p))), "must return a MetricValue with a Python float"),
        (lambda p: MetricValue(float("nan")), "is nan on ordinary predictions"),
        (lambda p: MetricValue(1.0 if p.scores_NK[0].argmax() == p.labels_N[0] else p.scores_NK[0].max().item()), "depends on the order"),
        (lambda p: MetricValue(_right(p) * 2), "gives 2.0 for perfect predictions, and `best` is 1.0"),
        (lambda p: MetricValue(_right(p), per_class=(1.0,) * len(np.unique(p.labels_N))), "one number a class (4) with a class absent"),
        (lambda p: MetricValue(_right(p) / len(np.unique(p.labels_N)[1:])), "raises ZeroDivisionError"),
    ],
)
def test_a_wrong_metric_is_reported(score: Callable[[Predictions], object], words: str) -> None:
    assert_reported(made(Metric, score=_score(score)), words)


def test_what_is_not_defined_is_named() -> None:
    assert check(made(Metric)) == ["define score(self, predictions)."]


def test_a_fault_is_reported_once() -> None:
    assert len(check(made(Metric, score=lambda *_: MetricValue(float(next(DRAWS)))))) == 1
    assert len(check(_steps(lambda self, _: (Train(by=self), Adjust(by=self, offset=(0.0,)))))) == 1


def test_a_loss_that_no_step_asks_for_is_reported() -> None:
    cls = made(Method, steps=lambda self, _: (Train(by=self),), loss=lambda *_: _cross_entropy)

    assert check(cls) == ["defines loss(), but no step asks for it: Train(by=self, own_loss=True)."]


def test_a_loss_for_skewed_problems_alone_is_right() -> None:
    def steps(self: Method, problem: Problem) -> tuple[Train, ...]:
        return (Train(by=self, own_loss=len(set(problem.class_counts)) > 1),)

    assert check(made(Method, steps=steps, loss=lambda *_: _cross_entropy)) == []


def test_a_metric_with_the_wrong_direction_is_reported() -> None:
    assert_reported(made(Metric, score=_score(lambda p: MetricValue(_right(p))), higher_is_better=False), "the wrong way round")


@pytest.mark.parametrize("factor", [-0.1, 1.5, float("nan")])
def test_a_schedule_outside_its_range_is_reported(factor: float) -> None:
    cls = made(Schedule, factor=lambda _, step, total: factor if step == total - 1 else 1.0)

    assert_reported(cls, f"must give a factor from 0 to 1, found {factor} at step 0 of 1")


def _optimizer(**options: Any) -> type[Optimizer]:
    def build(self: Optimizer, parameters: Any) -> Any:
        import torch

        return torch.optim.SGD(parameters, **{"lr": self.lr, **options})

    return made(Optimizer, build=build)


def test_a_wrong_optimizer_is_reported() -> None:
    assert check(_optimizer()) == []
    assert_reported(_optimizer(lr=0.0), "one step leaves parameters as they were")
    assert_reported(_optimizer(lr=0.5), "every parameter group must start at lr = 0.01")
    assert_reported(_optimizer(lr=float("inf")), "not finite")
    assert_reported(made(Optimizer, build=lambda *_: "sgd"), "must give a torch.optim.Optimizer, found str")


def _network(channels: int, pixels: int, num_classes: int, fault: str) -> nn.Module:
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(channels * pixels, 8)
            self.head = nn.Linear(8, num_classes + (fault == "one class more"))
            if fault == "no head":
                self.last = self.head
                del self.head
            if fault == "unseeded":
                with torch.no_grad():
                    self.hidden.weight.copy_(torch.from_numpy(np.random.default_rng().normal(size=(8, channels * pixels))))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            hidden = self.hidden(images.flatten(1)).relu()
            if fault == "detached":
                hidden = hidden.detach()
            if fault == "mixes the batch":
                hidden = hidden - hidden.mean(dim=0)
            logits: torch.Tensor = (self.last if fault == "no head" else self.head)(hidden)
            if fault == "squeezed":
                logits = logits.squeeze(0)
            return logits.log() if fault == "not finite" else logits

    return Network()


def _model(fault: str, least: int = 8) -> type[Model]:
    def check_shape(_: Model, image_shape: tuple[int, int, int], num_classes: int) -> None:
        if image_shape[1] < least:
            raise InvalidValue("too small")

    def build(_: Model, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        channels, height, width = image_shape
        return _network(channels, height * width, num_classes, fault)

    return made(Model, check=check_shape, build=build)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no head", "no submodule called `head`"),
        ("one class more", "must give logits of shape [N, K] = [8, 5] for images [8, 1, 28, 28], found [8, 6]"),
        ("detached", "no gradient reaches the parameter 'hidden.weight'"),
        ("mixes the batch", "other logits in evaluation when other images stand beside it"),
        ("squeezed", "must take a single image"),
        ("unseeded", "other initial weights for the same seed"),
        ("not finite", "logits that are not finite"),
    ],
)
def test_a_wrong_model_is_reported(fault: str, words: str) -> None:
    assert_reported(_model(fault), words)


def test_a_right_model_has_no_problems_and_one_that_refuses_everything_has() -> None:
    assert check(_model("")) == []
    assert_reported(_model("", least=1000), "refuses every image shape tried")


def test_a_model_that_leaves_small_images_to_torch_is_reported() -> None:
    def build(_: Model, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        from torch import nn

        module = nn.Sequential(nn.Conv2d(image_shape[0], 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        module.add_module("head", nn.Linear(4, num_classes))
        return module

    assert_reported(made(Model, build=build), "`check` must raise InvalidValue for images too small for it; (1, 1, 1) ends in RuntimeError")


def test_a_model_that_refuses_small_images_only_when_it_is_built_is_reported() -> None:
    def build(_: Model, image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        channels, height, width = image_shape
        if height < 8:
            raise InvalidValue("too small")
        return _network(channels, height * width, num_classes, "")

    assert_reported(made(Model, build=build), "`check` must raise InvalidValue")


def _steps(change: Callable[[Method, Problem], object]) -> type[Method]:
    return made(Method, steps=change)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (lambda self, _: (), "at least one step, found ()"),
        (lambda self, _: [Train(by=self)], "steps must be a tuple"),
        (lambda self, _: (Train(by=self), "adjust"), "every step must be a Train, an Adjust or a Finetune, found str"),
        (lambda self, p: (Adjust(by=self, offset=(0.0,) * p.num_classes),), "the first step must be a Train, found Adjust"),
        (lambda self, _: (Train(by=None),), "a step's `by` must be the method"),
        (lambda self, _: (Train(by=self, class_counts=(1, 2)),), "resampled counts must be 3 whole numbers of 0 or more, found (1, 2)"),
        (lambda self, p: (Train(by=self, class_counts=(-1,) * p.num_classes),), "resampled counts must be"),
        (lambda self, p: (Train(by=self, class_counts=(0,) * p.num_classes),), "leave nothing to train on"),
        (lambda self, p: (Train(by=self, class_counts=(9,) * p.num_classes),), "asks for images of a class that has none"),
        (lambda self, _: (Train(by=self), Adjust(by=self, offset=(0.0,))), "an offset must be 3 finite numbers"),
        (
            lambda self, p: (
                Train(by=self),
                Adjust(by=self, offset=tuple(np.log(np.maximum(p.class_counts, 0.5)) / np.sign(p.class_counts))),
            ),
            "an offset must be 3 finite numbers for class counts (40, 7, 0)",
        ),
        (
            lambda self, p: (Train(by=self, class_counts=(next(DRAWS),) * p.num_classes),),
            "other steps the second time",
        ),
        (lambda self, _: (Train(by=self, own_loss=True),), "asks for its own loss and does not define one"),
    ],
)
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")  # the fault that the check must find
def test_a_wrong_method_is_reported(steps: Callable[[Method, Problem], object], words: str) -> None:
    assert_reported(_steps(steps), words)


def _cross_entropy(logits: Any, labels: Any, **options: Any) -> Any:
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, labels, **options)


LOSSES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "one value an image": (functools.partial(_cross_entropy, reduction="none"), "the loss has shape (32,): reduce it with .mean()"),
    "not finite": (lambda z, y: _cross_entropy(z, y) / 0.0, "the loss must be a finite scalar"),
    "detached": (lambda z, y: _cross_entropy(z.detach(), y), "the loss has no gradient"),
    "flat": (lambda z, y: 0 * _cross_entropy(z, y), "the loss's gradient must be finite and not all zero"),
    "upside down": (lambda z, y: -_cross_entropy(z, y), "does not learn 32 random images by heart"),
    "rising": (lambda z, y: _cross_entropy(z, y) + 0 * z.sum() + next(DRAWS), "the loss does not fall"),
    "one class alone": (lambda z, y: _cross_entropy(z, y) / (y.unique().numel() - 1), "on a batch of the rarest class only"),
}


@pytest.mark.parametrize("fault", LOSSES)
def test_a_wrong_loss_is_reported(fault: str) -> None:
    loss, words = LOSSES[fault]

    assert_reported(made(Method, steps=lambda self, _: (Train(by=self, own_loss=True),), loss=lambda *_: loss), words)


def test_a_right_loss_has_no_problems() -> None:
    assert check(made(Method, steps=lambda self, _: (Train(by=self, own_loss=True),), loss=lambda *_: _cross_entropy)) == []


def _dataset(**changes: Any) -> type[Dataset]:
    """Six grey images of two classes; `changes` to what load gives, or `fingerprints` and `train_counts` of info."""
    fingerprints: Iterator[str] = changes.pop("fingerprints", itertools.repeat("abc"))
    train_counts = changes.pop("train_counts", (2, 2))
    pixels = iter(changes.pop("pixels", itertools.repeat(np.zeros((6, 1, 4, 4), dtype=np.uint8))))
    given = Images(images_NCHW=next(pixels), labels_N=np.array([0, 1] * 3), num_train=4, class_names=("a", "b"))

    def info(*_: object) -> DatasetInfo:
        return DatasetInfo(next(fingerprints), (1, 4, 4), ("a", "b"), train_counts, (1, 1))

    def load(*_: object) -> Images:
        return dataclasses.replace(given, images_NCHW=next(pixels), **changes)

    return made(Dataset, info=info, load=load)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pixels": itertools.repeat(np.zeros((6, 1, 4, 4), dtype=np.float32))}, "images must be uint8"),
        ({"pixels": itertools.repeat(np.zeros((6, 4, 4, 1), dtype=np.uint8))}, "with (C, H, W) = (1, 4, 4), found uint8 [6, 4, 4, 1]"),
        ({"pixels": (np.full((6, 1, 4, 4), n, dtype=np.uint8) for n in range(9))}, "other images or labels the second time"),
        ({"labels_N": np.array([0, 1] * 3, dtype=np.int32)}, "labels must be int64, one an image, found int32 [6]"),
        ({"labels_N": np.array([0, 1])}, "labels must be int64, one an image, found int64 [2] for 6 images"),
        ({"labels_N": np.array([0, 2] * 3)}, "labels must lie in 0 to 1, found 0 to 2"),
        ({"class_names": ("a", "c")}, "disagree on the class names"),
        ({"train_counts": (3, 1)}, "the train counts of info are (3, 1), the labels give (2, 2)"),
        ({"fingerprints": map(str, itertools.count())}, "the fingerprint is empty or differs"),
        ({"fingerprints": itertools.repeat("")}, "the fingerprint is empty or differs"),
    ],
)
def test_a_wrong_dataset_is_reported(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert_reported(_dataset(**changes), words, folders=Folders(data=(), cache=tmp_path))


def test_a_right_dataset_has_no_problems(tmp_path: Path) -> None:
    assert check(_dataset(), Folders(data=(), cache=tmp_path)) == []


def test_absent_data_are_reported(tmp_path: Path) -> None:
    def info(*_: object) -> DatasetInfo:
        raise DataError("no such folder")

    cls = made(Dataset, info=info, load=info)

    assert_reported(cls, "no such folder", folders=Folders(data=(), cache=tmp_path))


def halved(images: Any) -> Any:
    return images.float() / 2


def shifting(_: Preprocessing, blocks: Any) -> Any:
    shift = next(DRAWS)
    return lambda images: halved(images) + shift


def spread(_: Preprocessing, blocks: Any) -> Any:
    """Over the deviation of each pixel, which is 0 where nothing changes."""
    deviation = next(blocks()).float().std(dim=0)
    return lambda images: halved(images) / deviation


def always(transform: Callable[[Any], Any]) -> Callable[[Preprocessing, Any], Any]:
    return lambda _, blocks: transform


@pytest.mark.parametrize(
    ("learn", "words"),
    [
        (always(lambda images: images.double()), "must give float32"),
        (always(lambda images: halved(images).flatten(1)), "must give float32 [60, 3, 8, 8]"),
        (always(lambda images: halved(images) / images.float().std(dim=(1, 2, 3), keepdim=True)), "not finite"),
        (always(lambda images: halved(images.sub_(1))), "changes the images that it is given"),
        (always(lambda images: halved(images) - halved(images).mean(dim=0)), "in other company"),
        (shifting, "other values the second time"),
        (spread, "all alike"),
    ],
)
def test_a_preprocessing_that_is_wrong_is_reported(learn: Any, words: str) -> None:
    assert_reported(made(Preprocessing, learn=learn), words)


def test_a_preprocessing_that_refuses_everything_is_reported() -> None:
    def refuse(_: Preprocessing, image_shape: tuple[int, int, int]) -> None:
        raise InvalidValue("never")

    assert_reported(made(Preprocessing, learn=always(halved), check=refuse), "refuses every image shape tried")
    assert check(made(Preprocessing, learn=always(halved))) == []
