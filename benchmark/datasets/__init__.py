"""Contract of a data set: images as uint8, a cheap fingerprint, and options that every data set has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from benchmark.records import DatasetInfo, Folders, Images
from benchmark.registry import Plugin, parameter


@dataclass(frozen=True, kw_only=True)
class Dataset(Plugin, ABC):
    """A labelled set of images. `info` must be cheap (no decoding when nothing changed); `load` gives the pixels.

    The options below are the same for every data set and are applied by `benchmark.draw`, never by the plug-in.
    """

    kind: ClassVar[str] = "datasets"

    classes: tuple[int | str, ...] | None = parameter(None, doc="keep only these classes (labels or names), relabelled in this order")
    cap: int | None = parameter(None, doc="at most this many training images a class, drawn by seed", low=1)
    train_fraction: float | None = parameter(
        None, doc="pool train and test and split again, this share of each class to training", above=0, high=0.99
    )
    validation: float = parameter(
        0.0, doc="share of each class's training images held out for validation, after the imbalance", low=0, high=0.9
    )

    @abstractmethod
    def info(self, folders: Folders) -> DatasetInfo:
        """Fingerprint, shape, classes and counts; DataError with the places searched if the data is absent."""

    @abstractmethod
    def load(self, folders: Folders) -> Images:
        """The images, memory-mapped where that saves memory. `num_train == len(labels)` says there is no test part."""
