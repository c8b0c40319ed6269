"""`skewbench new`: a look at a folder of images, and a first suite on it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from statistics import median

from benchmark.datasets._decode import in_parallel, reporter
from benchmark.datasets._pixels import BrokenImage, Header, probe
from benchmark.datasets._tree import File, Tree, guess_parts, scan
from benchmark.errors import UserError, shown

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_TRAIN_FRACTION = 0.8
_NATURAL = 2.0
"""Above this ratio of largest to smallest class the folder's own imbalance is studied as it is."""
_RATIO, _FEWEST = 10, 5
"""The step ratio to aim at, and the images that it must leave a rare class."""
_EPOCHS, _BATCH, _MOST, _LEAST = 30, 32, 500, 100
"""Few images need few steps: so many times over them, within these bounds."""
_SHOWN = 10
_NAMED = 6
_CHUNK = 64


@dataclass(frozen=True)
class FolderReport:
    """What an image folder holds. Counts are per class in label order; sizes are those of upright images that decode."""

    root: Path
    parts: tuple[str, str] | None
    """The folders of the training and the test part; None for one folder a class."""
    class_names: tuple[str, ...]
    train_counts: tuple[int, ...]
    test_counts: tuple[int, ...]
    """All zero where there is no test part."""
    widths: tuple[int, int]
    """Smallest and largest, in pixels."""
    heights: tuple[int, int]
    median_side: float
    """Median over the images of the shorter side; 0 if none decodes."""
    modes: Mapping[str, int]
    """Images by Pillow's mode: L, RGB, P, …"""
    broken: tuple[str, ...]
    """Files that are no usable images, each with the reason; the counts leave them out."""

    @property
    def warning(self) -> str:
        """What stands in the way of a run; empty if nothing does."""
        return f"{len(self.broken)} broken file{'s' * (len(self.broken) != 1)}: mend or remove them first" if self.broken else ""

    @property
    def imbalance_ratio(self) -> float:
        """Largest over smallest class of the training part (of everything where it must be split)."""
        return max(self.train_counts) / min(self.train_counts) if min(self.train_counts) else inf

    def text(self) -> str:
        """The report for a person, one fact a line."""
        modes = ", ".join(f"{mode} {number}" for mode, number in self.modes.items())
        lines = [
            f"{self.root}: {_layout(self)}",
            f"images: {sum(self.train_counts)} train, {sum(self.test_counts)} test, {len(self.class_names)} classes",
            *_class_lines(self),
            f"imbalance: largest / smallest class = {self.imbalance_ratio:.3g}",
            f"width {_range(self.widths)}, height {_range(self.heights)}; modes: {modes or 'none'}",
        ]
        named = [*(f"broken: {line}" for line in self.broken[:_SHOWN]), *_more(len(self.broken), "broken files")]
        return "\n".join([*lines, *named, *([self.warning] if self.warning else [])])


def inspect_folder(path: Path) -> FolderReport:
    """Look at every file of an image folder; DataError where its layout is not that of one. Every image is decoded once."""
    root = path.expanduser().resolve()
    if "\udc80" <= max(str(root)) <= "\udcff":
        raise UserError(f"the path {shown(str(root))} is not valid UTF-8, so no suite can name it. Rename the folder.")
    parts = guess_parts(root)
    tree = scan(root, parts=parts)
    headers, broken = _probe_all(tree)
    widths, heights = [header.width for header in headers], [header.height for header in headers]
    return FolderReport(
        root=root,
        parts=parts,
        class_names=tree.class_names,
        train_counts=_usable(tree, tree.train, broken),
        test_counts=_usable(tree, tree.test, broken) or (0,) * len(tree.class_names),
        widths=(min(widths, default=0), max(widths, default=0)),
        heights=(min(heights, default=0), max(heights, default=0)),
        median_side=median([min(header.width, header.height) for header in headers] or [0]),
        modes=dict(Counter(header.mode for header in headers).most_common()),
        broken=tuple(f"{path}: {reason}" for path, reason in sorted(broken.items())),
    )


def _usable(tree: Tree, part: tuple[tuple[File, ...], ...], broken: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(sum(str(tree.root / file.path) not in broken for file in images) for images in part)


def suite_text(name: str, report: FolderReport) -> str:
    """A commented suite that runs as it is on a folder without broken files; UserError if the name cannot be a suite's."""
    if not _NAME.fullmatch(name):
        raise UserError(f"expected a suite's name of a-z, 0-9, '.', '_' and '-', first a letter or digit; found {shown(name)}.")
    imbalance, why = _imbalance(report)
    return f"""\
{_head(report)}suite: {quoted(name)}
question: {quoted(f"Which method handles the imbalance of {name} best?")}
seeds: 3                       # more seeds, narrower intervals
grid:                          # every combination is trained
  dataset: {_dataset(report)}
  imbalance: {imbalance}  # {why}
  method: [none, ros, rus, {{thresholding: {{base: [none, ros]}}}}, class-weights]
  model: small-cnn
recipe:                        # the same for every method; a list makes any value an axis
  optimizer: {{sgd: {{lr: 0.01, momentum: 0.9}}}}
  schedule: cosine
  iterations: {_iterations(report)}              # sized for a CPU: raise it for results to rely on
  batch: {_BATCH}
metrics: [auc, balanced_accuracy, f1, recall.per_class]  # the first is the main one
"""


def _iterations(report: FolderReport) -> int:
    images = sum(report.train_counts) * (1.0 if any(report.test_counts) else _TRAIN_FRACTION)
    return min(_MOST, max(_LEAST, round(_EPOCHS * images / _BATCH)))


def quoted(text: str) -> str:
    """A text as a double-quoted YAML scalar on one line, whatever is in it."""
    # JSON's strings are YAML's, but for characters that YAML takes for line breaks or forbids
    return re.sub(
        "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def _head(report: FolderReport) -> str:
    classes = ", ".join(f"{quoted(report.class_names[label])} {report.train_counts[label]}" for label in _by_size(report)[:_NAMED])
    train, test = sum(report.train_counts), sum(report.test_counts)
    lines = [
        f"{len(report.class_names)} classes; {_layout(report)}; images: {train} to train, {test} to test.",
        f"Training images: {classes}{', …' * (len(report.class_names) > _NAMED)}.",
    ]
    lines += [f"Broken files: {len(report.broken)}. Mend or remove them before the first run."] if report.broken else []
    return "".join(f"# {line}\n" for line in lines)


def _dataset(report: FolderReport) -> str:
    options = {"root": quoted(str(report.root)), "size": "32" if report.median_side <= 48 else "64"}
    if report.parts is None:
        options["train_fraction"] = str(_TRAIN_FRACTION)
    elif report.parts != ("train", "test"):
        options["parts"] = f"[{', '.join(map(quoted, report.parts))}]"
    return f"{{image-folder: {{{', '.join(f'{key}: {value}' for key, value in options.items())}}}}}"


def _imbalance(report: FolderReport) -> tuple[str, str]:
    """The imbalance as it stands in the suite, and why."""
    smallest = min(report.train_counts) * (1.0 if any(report.test_counts) else _TRAIN_FRACTION)
    ratio = min(_RATIO, int(smallest) // _FEWEST)
    if report.imbalance_ratio > _NATURAL:
        return "none", f"the data's own: its classes differ by a factor of {report.imbalance_ratio:.3g}"
    if ratio < 2:
        return "none", "too few images a class to take some away"
    return f"{{step: {{ratio: {ratio}, minority: 0.5}}}}", f"half of the classes keep 1 image in {ratio}; try a list: [2, {ratio}]"


def _layout(report: FolderReport) -> str:
    return "one folder a class, no test part" if report.parts is None else f"parts {report.parts[0]} and {report.parts[1]}"


def _class_lines(report: FolderReport) -> list[str]:
    names, train, test = report.class_names, report.train_counts, report.test_counts
    lines = [f"  {quoted(names[label])}: {train[label]} train, {test[label]} test" for label in _by_size(report)]
    return [*lines[:_SHOWN], *_more(len(lines), "classes")]


def _by_size(report: FolderReport) -> list[int]:
    """Labels, the largest class first."""
    return sorted(range(len(report.class_names)), key=lambda label: -report.train_counts[label])


def _more(number: int, what: str) -> list[str]:
    return [f"… and {number - _SHOWN} more {what}"] if number > _SHOWN else []


def _range(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


@dataclass(frozen=True)
class _Probed:
    headers: tuple[Header, ...]
    broken: Mapping[str, str]
    """Path to reason."""


def _probe_all(tree: Tree) -> tuple[list[Header], dict[str, str]]:
    headers: list[Header] = []
    broken: dict[str, str] = {}
    paths = [str(tree.root / file.path) for file in tree.files]
    report = reporter(tree.root, len(paths))
    chunks = [paths[first : first + _CHUNK] for first in range(0, len(paths), _CHUNK)]
    for found in in_parallel(_probe_some, chunks, num_files=len(paths)):
        headers += found.headers
        broken |= found.broken
        report(len(found.headers) + len(found.broken))
    return headers, broken


def _probe_some(paths: list[str]) -> _Probed:
    headers, broken = [], {}
    for path in paths:
        try:
            headers.append(probe(path))
        except BrokenImage as error:
            broken[path] = str(error)
    return _Probed(tuple(headers), broken)
