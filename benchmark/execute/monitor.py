"""Watching a training without touching it: accuracy on training and test images at evenly spread steps. Reported, never used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.draw import Split
from benchmark.execute.loop import log_probabilities
from benchmark.execute.sources import ImageSource
from benchmark.recipe import MONITORED, Recipe


@dataclass
class Monitor:
    """Evaluates a network at the steps `at`; nothing of the training changes, its random streams included."""

    at: tuple[int, ...]
    images: ImageSource
    labels_N: Tensor
    rows: dict[str, Tensor]
    """Images to look at, by part."""
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """(step, accuracy) by `part.accuracy`."""

    def look(self, model: nn.Module, step: int) -> None:
        """Evaluate after this many steps. The network comes back in the mode it was in."""
        was_training = model.training
        device = self.images.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # somebody's network may draw when evaluated too
            for part, rows in self.rows.items():
                guessed = log_probabilities(model, self.images, rows).argmax(dim=1)
                accuracy = float((guessed == self.labels_N[rows].cpu()).double().mean())
                self.history.setdefault(f"{part}.accuracy", []).append((step, accuracy))
        model.train(was_training)


def monitor_of(recipe: Recipe, steps: int, split: Split, images: ImageSource, labels_N: Tensor) -> Monitor | None:
    """What the recipe asks to watch, None where it asks for nothing.

    Training accuracy is that on the images of the imbalanced set, each once, as they are before a method samples, so that methods are seen
    on the same images; test accuracy that on the test part. Of a part with more than MONITORED images that many are taken, evenly spaced.
    """
    if not recipe.monitor:
        return None
    parts = {"train": split.train, "test": split.test}
    rows = {part: torch.from_numpy(_spaced(found, MONITORED[part])).to(images.device) for part, found in parts.items()}
    return Monitor(recipe.monitored_steps(steps), images, labels_N, rows)


def _spaced(rows: np.ndarray[Any, np.dtype[np.int64]], limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """At most `limit` of the rows, evenly spaced, the first among them."""
    return rows if len(rows) <= limit else rows[np.arange(limit) * len(rows) // limit]
