"""Which classes are the rare ones, and how labels and names in a suite become labels."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.errors import InvalidValue, shown, unknown
from benchmark.imbalances import Classes

ClassName = bool | int | str
"""A label or a class's name. A bool is let in only to be refused with a reason: YAML reads an unquoted `no` as false."""

Order = str | tuple[bool | int | str, ...]
"""`lowest`, `highest`, `random`, or classes from the rarest up."""

RAREST = ("lowest", "highest", "random")


def check_order(order: Order, *, known: tuple[str, ...] = RAREST) -> None:
    """InvalidValue unless `order` is a list without a repeated entry, or one of the known words."""
    if isinstance(order, str):
        if order not in known:
            raise InvalidValue(unknown("order of `classes`:", order, known) + " Classes by name belong in a list.")
        return
    check_keys(order)
    if not order:
        raise InvalidValue("expected at least one class in `classes`, found an empty list.")


def check_keys(keys: Iterable[ClassName]) -> None:
    """InvalidValue for a class given as true or false."""
    for key in keys:
        if isinstance(key, bool):
            raise InvalidValue(f"expected a class, found {str(key).lower()}: YAML reads yes, no, on and off so; put the name in quotes.")


def label_of(key: ClassName, names: tuple[str, ...]) -> int:
    """The label meant by a label or a name; a name in quotes always means the name."""
    if isinstance(key, str) and key in names:
        return names.index(key)
    label = int(key) if isinstance(key, int) or (key.isascii() and key.isdigit()) else None
    if label is None:
        raise InvalidValue(unknown("class", key, names))
    if not 0 <= label < len(names):
        raise InvalidValue(f"no class has the label {label}: the labels are 0 to {len(names) - 1} ({', '.join(names)}).")
    if str(label) in names and names[label] != str(label):
        raise InvalidValue(
            f"{label} is ambiguous: the class named '{label}' has the label {names.index(str(label))}, and label {label} is the class "
            f"'{names[label]}'. Put a name in quotes."
        )
    return label


def labels_of(keys: Iterable[ClassName], names: tuple[str, ...]) -> tuple[int, ...]:
    """The labels of several classes; InvalidValue if two entries mean the same class."""
    found: dict[int, ClassName] = {}
    for key in keys:
        label = label_of(key, names)
        if label in found:
            raise InvalidValue(f"the class '{names[label]}' (label {label}) is given twice: as {shown(found[label])} and as {shown(key)}.")
        found[label] = key
    return tuple(found)


def rarest_first(order: Order, classes: Classes) -> tuple[int, ...]:
    """Every label from the rarest up; InvalidValue if a list leaves a class out."""
    num_classes = len(classes.names)
    if isinstance(order, str):
        orders = {"lowest": range(num_classes), "highest": reversed(range(num_classes)), "random": classes.shuffled}
        return tuple(orders[order])
    labels = labels_of(order, classes.names)
    if len(labels) != num_classes:
        absent = ", ".join(name for label, name in enumerate(classes.names) if label not in labels)
        raise InvalidValue(f"expected all {num_classes} classes in `classes`, from the rarest up, found {len(labels)}: {absent} left out.")
    return labels


def permuted(keys: Iterable[ClassName], order: Order, classes: Classes) -> tuple[int, ...]:
    """The labels that keys stand for when the classes are permuted: key k means the k-th class of `order` (`labels`: itself)."""
    stands_for = rarest_first("lowest" if order == "labels" else order, classes)
    return tuple(stands_for[label] for label in labels_of(keys, classes.names))
