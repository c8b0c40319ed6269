"""Which images a cell trains, validates and tests on: class subset, re-split, cap, imbalance, validation, in that order.

Everything is a prefix of one random order per class that depends on (data set, seed, class) alone. So every method and
model sees the same images, and the images kept at a larger imbalance ratio are a subset of those kept at a smaller one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark import seeds
from benchmark.datasets import Dataset
from benchmark.errors import DataError, InvalidValue, unknown
from benchmark.imbalances import Classes, Imbalance
from benchmark.records import DatasetInfo, Images, StreamedImages

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Images per class, in the order of the cell's labels."""

    class_names: tuple[str, ...]
    train: tuple[int, ...]
    """Training images after the imbalance, validation images taken out."""
    validation: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class Split:
    """Rows of the data set for each part, ascending, and the cell's label of every row (-1: not in the class subset)."""

    train: Index
    validation: Index
    test: Index
    labels_N: Index


def planned_counts(dataset: Dataset, info: DatasetInfo, imbalance: Imbalance, seed: int) -> Counts:
    """Counts of every part, without touching an image; raises where the request cannot be met."""
    chosen = _chosen(dataset, info.class_names)
    _check_pool(dataset)
    own_test = [info.test_counts[label] for label in chosen]
    train = [info.train_counts[label] for label in chosen]
    if dataset.train_fraction is not None:
        merged = zip(train, own_test, strict=True)
        total = [min(n + (m if dataset.pool == "merged" else 0), dataset.pool_cap or n + m) for n, m in merged]
        train, own_test = map(list, zip(*(_sizes(n, dataset) for n in total), strict=True))
    if not any(own_test):
        raise DataError(f"data set '{dataset.name}' has no test part: set train_fraction (for instance 0.8) to split it by seed.")
    names = tuple(info.class_names[label] for label in chosen)
    available = tuple(min(n, dataset.cap or n) for n in train)
    kept = imbalance.counts(Classes(names, available, _shuffled(dataset, len(names), seed)))
    held = tuple(_part(n, dataset.validation, keep_one=True) if dataset.validation and n > 1 else 0 for n in kept)
    counts = Counts(names, tuple(n - v for n, v in zip(kept, held, strict=True)), held, tuple(own_test))
    if not imbalance.may_empty:
        _check_none_empty(counts, available, imbalance)
    return counts


def _check_pool(dataset: Dataset) -> None:
    """InvalidValue for options of a re-split that do not go together."""
    if dataset.train_fraction is None:
        given = {"pool": dataset.pool != "merged", "pool_cap": dataset.pool_cap, "test_fraction": dataset.test_fraction}
        for name in (name for name, value in given.items() if value):
            raise InvalidValue(
                f"'{name}' of data set '{dataset.name}' goes with train_fraction, which splits the pool: set both or neither."
            )
    elif dataset.test_fraction is not None and dataset.train_fraction + dataset.test_fraction > 1 + 1e-9:
        raise InvalidValue(
            f"train_fraction {dataset.train_fraction:g} and test_fraction {dataset.test_fraction:g} are more than the whole."
        )


def _sizes(number: int, dataset: Dataset) -> tuple[int, int]:
    """Images of a class for training and for testing."""
    assert dataset.train_fraction is not None
    train = _part(number, dataset.train_fraction, keep_one=True)
    return train, number - train if dataset.test_fraction is None else min(number - train, max(1, round(number * dataset.test_fraction)))


def pool_rows(dataset: Dataset, info: DatasetInfo, images: Images | StreamedImages) -> Index:
    """Rows that any part of any seed may hold, ascending."""
    labels = _chosen(dataset, info.class_names)
    rows = [np.flatnonzero(images.labels_N == label) for label in labels]
    if dataset.train_fraction is not None:
        rows = [_pooled(dataset, each, images.num_train, label) for label, each in zip(labels, rows, strict=True)]
    return np.sort(np.concatenate(rows))


def _pooled(dataset: Dataset, rows: Index, num_train: int, label: int) -> Index:
    """The rows of a class that a re-split is about: no seed is asked."""
    found = rows[rows < num_train] if dataset.pool == "train" else rows
    if dataset.pool_cap is None or len(found) <= dataset.pool_cap:
        return found
    return np.sort(seeds.generator("split", dataset.name, "pool", label).permutation(found)[: dataset.pool_cap])


def _check_none_empty(counts: Counts, available: tuple[int, ...], imbalance: Imbalance) -> None:
    for name, kept, before in zip(counts.class_names, counts.train, available, strict=True):
        if kept == 0:
            raise InvalidValue(
                f"class '{name}' is left without a training image by imbalance '{imbalance.name}' ({before} before it): leave the class "
                "out with `classes`, or choose a milder imbalance or a larger train_fraction."
            )


def draw(dataset: Dataset, info: DatasetInfo, images: Images | StreamedImages, imbalance: Imbalance, seed: int) -> Split:
    """The rows of each part for one (data set, imbalance, seed)."""
    counts = planned_counts(dataset, info, imbalance, seed)
    parts: dict[str, list[Index]] = {"train": [], "validation": [], "test": []}
    labels_N = np.full(len(images.labels_N), -1, dtype=np.int64)
    for new, old in enumerate(_chosen(dataset, info.class_names)):
        rows = np.flatnonzero(images.labels_N == old)
        labels_N[rows] = new
        train, test = _own_parts(dataset, rows, images.num_train, seed, old)
        kept = seeds.generator("draw", dataset.name, seed, old).permutation(train)[: counts.train[new] + counts.validation[new]]
        parts["train"].append(kept[: counts.train[new]])
        parts["validation"].append(kept[counts.train[new] :])
        parts["test"].append(test)
    joined = {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}
    return Split(labels_N=labels_N, **joined)


def training_rows(dataset: Dataset, info: DatasetInfo, images: Images | StreamedImages, seed: int) -> Index:
    """Rows of the whole training part, ascending: of every class, before cap and imbalance. No test image of this seed is among them."""
    labels = range(len(info.class_names))
    parts = [_own_parts(dataset, np.flatnonzero(images.labels_N == label), images.num_train, seed, label)[0] for label in labels]
    return np.sort(np.concatenate(parts))


def resample(labels: Index, target: tuple[int, ...], *parts: str | int) -> Index:
    """Positions into `labels` such that class c stands target[c] times: all originals plus draws with replacement, or a subset.

    The draw is that of imbalanced-learn's RandomUnderSampler and then RandomOverSampler, to the bit (tested); importing them takes a
    worker a second. InvalidValue where a class without images is to have some.
    """
    seed = seeds.stream_seed("resample", *parts) % 2**32
    under, over = np.random.RandomState(seed), np.random.RandomState(seed)  # noqa: NPY002  # imbalanced-learn's generator
    taken: list[Index] = []
    for label, wanted in enumerate(target):
        rows = np.flatnonzero(labels == label)
        if wanted > len(rows) == 0:
            raise InvalidValue(f"sampling asks for {wanted} images of class {label}, which has none: ask for 0.")
        if wanted < len(rows):
            rows = rows[under.choice(len(rows), size=wanted, replace=False)]
        taken += [rows, over.choice(rows, size=wanted - len(rows))] if wanted > len(rows) else [rows]
    return np.sort(np.concatenate(taken))


def _chosen(dataset: Dataset, names: tuple[str, ...]) -> list[int]:
    """The original labels of the class subset, in the order asked for."""
    if dataset.classes is None:
        return list(range(len(names)))
    found = [names.index(c) if c in names else c for c in dataset.classes]
    for item in found:
        if not isinstance(item, int) or not 0 <= item < len(names):
            raise InvalidValue(unknown(f"class of data set '{dataset.name}':", item, names))
    labels = [int(item) for item in found]
    if len(set(labels)) < len(labels) or len(labels) < 2:
        raise InvalidValue(f"expected at least two different classes for '{dataset.name}', found {list(dataset.classes)}.")
    return labels


def _own_parts(dataset: Dataset, rows: Index, num_train: int, seed: int, label: int) -> tuple[Index, Index]:
    if dataset.train_fraction is None:
        return rows[rows < num_train], rows[rows >= num_train]
    order = seeds.generator("split", dataset.name, seed, label).permutation(_pooled(dataset, rows, num_train, label))
    size, tested = _sizes(len(order), dataset)
    return order[:size], order[len(order) - tested :]


def _shuffled(dataset: Dataset, num_classes: int, seed: int) -> tuple[int, ...]:
    return tuple(int(c) for c in seeds.generator("draw", dataset.name, seed, "classes").permutation(num_classes))


def _part(number: int, fraction: float, *, keep_one: bool) -> int:
    """The rounded share; with `keep_one` at least one on each side of the cut where there are two."""
    share = round(number * fraction)
    return min(max(share, 1), number - 1) if keep_one and number > 1 else share
