"""What the profiles (step, linear, exponential) share: the largest class, and the check that a request can be met."""

from __future__ import annotations

import math

from benchmark.errors import InvalidValue
from benchmark.imbalances import Classes

GUARD = 1e-6
"""Far above the rounding error of a count in float64, far below one image: 1100 / 1.1 is 999.9999999999999 and means 1000."""


def whole(count: float) -> int:
    """Truncated to whole images, a rounding error below the next whole number forgiven."""
    return math.floor(count + GUARD)


def largest_count(n_max: int | None, ratio: float, classes: Classes, *, random: bool) -> int:
    """Images of the most frequent class: as asked, or what the smallest class has, so that the ratio is exact."""
    if len(classes.names) < 2:
        raise InvalidValue(f"an imbalance needs at least two classes, found {len(classes.names)}.")
    smallest = min(classes.available)
    label = classes.available.index(smallest)
    if n_max is not None and n_max > smallest and random:  # which class must have n_max is drawn: any may be the one
        raise InvalidValue(f"n_max is {n_max}, and the class '{classes.names[label]}' has {smallest} images: at most {smallest} works.")
    found = smallest if n_max is None else n_max
    if found == 0:
        raise InvalidValue(f"the class '{classes.names[label]}' has no training image: leave it out with the data set's `classes`.")
    if whole(found / ratio) < 1:
        raise InvalidValue(
            f"the ratio {ratio:g} leaves less than one image in the rarest class, as the most frequent one has {found}: "
            f"the largest ratio that works is {found}."
        )
    return found


def kept(wanted: dict[int, int], classes: Classes) -> tuple[int, ...]:
    """Counts in label order; InvalidValue if a class would have to keep more than it has."""
    for label, count in sorted(wanted.items()):
        if count > classes.available[label]:
            raise InvalidValue(
                f"the class '{classes.names[label]}' (label {label}) would keep {count} images and has {classes.available[label]}."
            )
    return tuple(wanted[label] for label in range(len(classes.names)))
