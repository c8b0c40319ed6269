"""Contract of a data set: images as uint8, a cheap fingerprint, and options that every data set has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from benchmark.records import DatasetInfo, Folders, Images, StreamedImages
from benchmark.registry import Plugin, parameter


@dataclass(frozen=True, kw_only=True)
class Dataset(Plugin, ABC):
    """A labelled set of images. `info` must be cheap (no decoding when nothing changed); `load` gives the pixels.

    The options below are the same for every data set and are applied by `benchmark.draw`, never by the plug-in.
    """

    kind: ClassVar[str] = "datasets"
    is_streamed: ClassVar[bool] = False
    """Whether `load` gives StreamedImages."""

    classes: tuple[int | str, ...] | None = parameter(None, doc="keep only these classes (labels or names), relabelled in this order")
    cap: int | None = parameter(None, doc="at most this many training images a class, drawn by seed", low=1)
    train_fraction: float | None = parameter(
        None, doc="pool train and test and split again, this share of each class to training", above=0, high=0.99
    )
    pool: str = parameter(
        "merged",
        doc="what train_fraction splits: the official parts merged, or the training part alone",
        choices=("merged", "train"),
        later=True,
    )
    pool_cap: int | None = parameter(
        None, doc="with train_fraction: only so many images a class of the pool, the same ones for every seed", low=2, later=True
    )
    test_fraction: float | None = parameter(
        None,
        doc="with train_fraction: this share of each class is the test part, the same one at every train_fraction",
        above=0,
        high=0.99,
        later=True,
    )
    validation: float = parameter(
        0.0, doc="share of each class's training images held out for validation, after the imbalance", low=0, high=0.9
    )

    @abstractmethod
    def info(self, folders: Folders) -> DatasetInfo:
        """Fingerprint, shape, classes and counts; DataError with the places searched if the data is absent."""

    @abstractmethod
    def load(self, folders: Folders) -> Images | StreamedImages:
        """The images, memory-mapped where that saves memory, or what decodes them where they are too many for that.

        `num_train == len(labels)` says there is no test part.
        """
