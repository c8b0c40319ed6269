"""Contract checks: what every plug-in of a kind must do, tried out on it and said in plain words.

`check` serves the test-suite and `skewbench check`. Shape suffixes: N images, K classes, D features.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import contracts_augmentation, contracts_preprocessing, contracts_torch
from benchmark.augmentations import Augmentation
from benchmark.datasets import Dataset
from benchmark.errors import InvalidValue, UserError, shown
from benchmark.imbalances import Classes, Imbalance
from benchmark.methods import Method
from benchmark.metrics import Metric
from benchmark.models import Model
from benchmark.optimizers import Optimizer
from benchmark.preprocessings import Preprocessing
from benchmark.records import DatasetInfo, Folders, Images, MetricValue, Predictions, StreamedImages
from benchmark.registry import Plugin, build_fields, parameters_of
from benchmark.schedules import Schedule

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
NO_SUCH = "no_such_parameter"
STREAMED = 8
"""Images of a streamed data set that are decoded."""


def check(cls: type[Plugin], folders: Folders | None = None, *, example: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong with a plug-in, in plain words; empty if it keeps its contract.

    It is tried with its defaults and the parameters `example`, or those of its attribute of that name. A data set's images are
    read only if `folders` are given.
    """
    problems = list(_declaration(cls))
    lacking = [_signature(cls, name) for name in sorted(getattr(cls, "__abstractmethods__", ()))] if inspect.isabstract(cls) else []
    if lacking:
        return [*problems, *(f"define {words}." for words in lacking)]
    return list(dict.fromkeys(problems + _tried(cls, folders, example)))  # one fault may show on several problems


def _signature(cls: type[Plugin], name: str) -> str:
    """A method as its base declares it, without the types."""
    member = inspect.getattr_static(cls, name)
    return f"{name}({', '.join(inspect.signature(member).parameters)})" if inspect.isfunction(member) else name


def _tried(cls: type[Plugin], folders: Folders | None, example: Mapping[str, Any] | None) -> list[str]:
    problems: list[str] = []
    try:
        instance = _example(cls, getattr(cls, "example", {}) if example is None else example, problems)
        if instance is None:
            return problems
        if isinstance(instance, Dataset):
            return problems + (list(_dataset(instance, folders)) if folders else [])
        return problems + list(_behaviour(instance))
    except UserError as error:
        return [*problems, f"refuses its own parameters or what the check gives it: {error}"]
    except Exception as error:  # anything may go wrong in other people's code: report it as a finding
        return [*problems, f"raises {type(error).__name__} at {_place(error)}: {error}"]


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"


def _declaration(cls: type[Plugin]) -> Iterator[str]:
    if not NAME.fullmatch(cls.name):
        yield f"the name '{cls.name}' is not lower-case words joined by - or _: mark the class with @plugin(\"some-name\")."
    if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}("):  # the second is what dataclass fills in
        yield "the class has no docstring: say in one line what it does."
    for item in dataclasses.fields(cls):
        if not item.metadata.get("doc"):
            yield f"the parameter '{item.name}' has no explanation: declare it with parameter(…, doc=…)."


def _example(cls: type[Plugin], given: Mapping[str, Any], problems: list[str]) -> Plugin | None:
    """The plug-in built twice: from the parameters given, and from its own description."""
    missing = [item.name for item in dataclasses.fields(cls) if item.default is dataclasses.MISSING and item.name not in given]
    if missing:
        problems.append(f"give `example` = {{{', '.join(repr(name) + ': …' for name in missing)}}}, parameters to test with.")
        return None
    instance = build_fields(cls, given, what=f"the example of '{cls.name}'")
    again = build_fields(cls, parameters_of(instance), what=f"'{cls.name}' with its defaults spelled out")
    if again.text != instance.text:
        problems.append(f"its parameters change when they are read back: {instance.text} becomes {again.text}.")
    try:
        build_fields(cls, {**given, NO_SUCH: 1}, what=f"'{cls.name}'")
        problems.append("an unknown parameter is accepted; it must be refused.")
    except InvalidValue:
        pass
    return instance


@functools.singledispatch
def _behaviour(instance: Plugin) -> Iterator[str]:
    yield f"is of no known kind: derive it from one of the bases, found {type(instance).__mro__[1].__name__}."


def _dataset(dataset: Dataset, folders: Folders) -> Iterator[str]:
    info, images = dataset.info(folders), dataset.load(folders)
    wrong = list(_array_problems(images, info))
    if wrong:
        yield from wrong
        return
    if images.class_names != info.class_names:
        yield f"load and info disagree on the class names: {images.class_names} and {info.class_names}."
    parts = {
        "train": (images.labels_N[: images.num_train], info.train_counts),
        "test": (images.labels_N[images.num_train :], info.test_counts),
    }
    for part, (labels_N, told) in parts.items():
        counts = tuple(np.bincount(labels_N, minlength=len(info.class_names)).tolist())
        if counts != told:
            yield f"the {part} counts of info are {told}, the labels give {counts}."
    again = dataset.load(folders)
    if not (np.array_equal(_pixels(again), _pixels(images)) and np.array_equal(again.labels_N, images.labels_N)):
        yield "load gives other images or labels the second time."
    if dataset.info(folders).fingerprint != info.fingerprint or not info.fingerprint:
        yield "the fingerprint is empty or differs the second time."


def _pixels(images: Images | StreamedImages) -> NDArray[np.uint8]:
    """All images; of streamed ones the first few, as in testing and then as in training."""
    if isinstance(images, Images):
        return images.images_NCHW
    draws = (None, np.zeros(images.decoder.draws)) if images.decoder.draws else (None,)
    return np.stack([images.decoder(path, each) for each in draws for path in images.paths[:STREAMED]])


def _array_problems(images: Images | StreamedImages, info: DatasetInfo) -> Iterator[str]:
    pixels_NCHW, labels_N = _pixels(images), images.labels_N
    num = len(pixels_NCHW) if isinstance(images, Images) else len(images.paths)
    if pixels_NCHW.dtype != np.uint8 or pixels_NCHW.ndim != 4 or pixels_NCHW.shape[1:] != info.shape:
        yield f"images must be uint8 [N, C, H, W] with (C, H, W) = {info.shape}, found {pixels_NCHW.dtype} {list(pixels_NCHW.shape)}."
    if labels_N.dtype != np.int64 or labels_N.shape != (num,):
        yield f"labels must be int64, one an image, found {labels_N.dtype} {list(labels_N.shape)} for {num} images."
    elif len(labels_N) and not 0 <= labels_N.min() <= labels_N.max() < len(info.class_names):
        yield f"labels must lie in 0 to {len(info.class_names) - 1}, found {labels_N.min()} to {labels_N.max()}."


@_behaviour.register
def _imbalance(imbalance: Imbalance) -> Iterator[str]:
    worked = False
    for num_classes in (2, 3, 10):
        for available in ((200,) * num_classes, tuple(200 + 10 * label for label in range(num_classes))):
            names = tuple(f"class-{label}" for label in range(num_classes))
            classes = Classes(names, available, tuple((label + 1) % num_classes for label in range(num_classes)))
            try:
                counts = imbalance.counts(classes)
            except InvalidValue:
                continue
            worked = True
            yield from _counts(imbalance, counts, classes)
    if not worked:
        yield "gives no counts for 2, 3 or 10 classes of 200 and more images: choose an `example` that works for one of them."


def _counts(imbalance: Imbalance, counts: tuple[int, ...], classes: Classes) -> Iterator[str]:
    if len(counts) != len(classes.names) or not all(isinstance(count, int) for count in counts):
        yield f"must give {len(classes.names)} whole numbers (int) for {len(classes.names)} classes, found {counts}."
        return
    for count, available in zip(counts, classes.available, strict=True):
        if not 0 <= count <= available:
            yield f"keeps {count} images of a class that has {available}."
        if count == 0 and not imbalance.may_empty:
            yield f"leaves a class empty: raise InvalidValue, or say may_empty = True ({counts})."
    if imbalance.counts(classes) != counts:
        yield f"gives other counts the second time for the same classes ({len(counts)} classes)."


@_behaviour.register
def _metric(metric: Metric) -> Iterator[str]:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(240) % 4)
    scores = _log_softmax(rng.normal(size=(240, 4)) + 1.5 * np.eye(4)[labels])
    ordinary = metric.score(_predictions(scores, labels))
    wrong = list(_value_problems(ordinary, "on ordinary predictions"))
    yield from wrong
    if wrong:
        return
    if not math.isfinite(ordinary.value):
        yield f"is {ordinary.value} on ordinary predictions of four classes."
    again = metric.score(_predictions(scores, labels)).value
    if again != ordinary.value and not (math.isnan(again) and math.isnan(ordinary.value)):
        yield "differs between two calls on the same predictions."
        return  # what follows compares one call with another
    order = rng.permutation(len(labels))
    if not _close(metric.score(_predictions(scores[order], labels[order])).value, ordinary.value):
        yield "depends on the order of the images."
    perfect = metric.score(_predictions(_log_softmax(60 * np.eye(4)[labels]), labels)).value
    if not _close(perfect, metric.best):
        yield f"gives {perfect} for perfect predictions, and `best` is {metric.best}."
    if (ordinary.value > perfect) if metric.higher_is_better else (ordinary.value < perfect):
        yield f"is {ordinary.value:g} on ordinary predictions and {perfect:g} on perfect ones: `higher_is_better` is the wrong way round."
    for words, rows in (("with a class absent from the labels", labels != 2), ("with one class only", labels == 1)):
        yield from _value_problems(metric.score(_predictions(scores[rows], labels[rows])), words)


def _value_problems(found: MetricValue, words: str) -> Iterator[str]:
    if not isinstance(found, MetricValue):
        remedy = f"wrap it: MetricValue({float(found):g})" if isinstance(found, int | float | np.number) else "return MetricValue(…)"
        yield f"must return a MetricValue with a Python float {words}, found {shown(found)}: {remedy}."
    elif type(found.value) is not float:
        yield f"must return a MetricValue with a Python float {words}, found {shown(found.value)}: convert it with float(…)."
    elif found.per_class is not None and len(found.per_class) != 4:
        yield f"must give per_class one number a class (4) {words}, found {len(found.per_class)}."


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)
    return found


def _predictions(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> Predictions:
    return Predictions(scores_NK=scores, labels_N=labels, class_counts=(500, 200, 50, 10))


def _close(value: float, expected: float) -> bool:
    return abs(value - expected) < 1e-6


@_behaviour.register
def _schedule(schedule: Schedule) -> Iterator[str]:
    for total in (1, 10, 1000):
        for step in range(total):
            factor = schedule.factor(step, total)
            if not 0 <= factor <= 1.0001:  # false for NaN too
                yield f"must give a factor from 0 to 1, found {factor} at step {step} of {total}."
                return


_behaviour.register(Model, contracts_torch.model_problems)
_behaviour.register(Method, contracts_torch.method_problems)
_behaviour.register(Optimizer, contracts_torch.optimizer_problems)
_behaviour.register(Preprocessing, contracts_preprocessing.preprocessing_problems)
_behaviour.register(Augmentation, contracts_augmentation.augmentation_problems)
