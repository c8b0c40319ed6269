"""What image files hold, without keeping their pixels: digests of their bytes, each file tried once, known again by size and time.

One JSON file a folder: `content/<key>.json`, with a line for each class of each part, so that a change is looked at where it is.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.datasets import _cache
from benchmark.datasets._decode import in_parallel, refuse, reporter
from benchmark.datasets._pixels import BrokenImage, probe
from benchmark.datasets._tree import File, Tree
from benchmark.identity import canonical, digest

_VERSION = 1
"""Part of every fingerprint and key: raise it when the same files give another digest, or when others count as broken."""
_LONGEST = 100
"""Times its shorter side that an image may be long: resized to a shorter side of 256 it would otherwise fill the memory."""
_SECONDS_BETWEEN_WRITES = 20.0


@dataclass(frozen=True)
class _Class:
    """The files of one class in one part."""

    root: str
    name: str
    """`part/class`"""
    files: tuple[File, ...]
    signature: str


@dataclass(frozen=True)
class _Read:
    """A class that has been read: the digest of its files, or which of them are broken and why."""

    of: _Class
    digest: str
    broken: tuple[str, ...]


@dataclass(frozen=True)
class _Known:
    """(signature, digest) by `part/class`."""

    classes: dict[str, tuple[str, str]] = field(default_factory=dict)


def content_fingerprint(tree: Tree, *, cache: Path) -> str:
    """32 hexadecimal digits that depend on class names, counts and the bytes of every file in order, never on its name or place.

    A file whose path, size and time are unchanged is not read again. A file that is new is read and tried: DataError with the names of
    the broken ones.
    """
    counts = [[len(files) for files in part] for part in (tree.train, tree.test)]
    return digest(canonical([_VERSION, tree.class_names, counts, _digests(tree, cache)]))


def _digests(tree: Tree, cache: Path) -> list[str]:
    """Of each class of the training part, then of the test part."""
    path = cache / "content" / f"{digest(canonical([_VERSION, os.fsencode(tree.root).hex()]))}.json"
    classes = list(_classes(tree))
    known = _known(path)
    if not all(_is_known(each, known) for each in classes):
        with _cache.locked(path.with_suffix(".lock")):
            known = _known(path)  # another process may have read them while this one waited
            _read_all(tree.root, [each for each in classes if not _is_known(each, known)], known, path)
    return [known[each.name][1] for each in classes]


def _known(path: Path) -> dict[str, tuple[str, str]]:
    return (_cache.read(path, _Known) or _Known()).classes


def _is_known(each: _Class, known: dict[str, tuple[str, str]]) -> bool:
    return each.name in known and known[each.name][0] == each.signature


def _classes(tree: Tree) -> Iterator[_Class]:
    for part in (tree.train, tree.test):
        for files in part:
            lines = "\n".join(f"{file.path}\0{file.size}\0{file.mtime_ns}" for file in files)
            signature = hashlib.sha256(os.fsencode(lines)).hexdigest()[:32]
            yield _Class(str(tree.root), os.fsencode(os.path.dirname(files[0].path)).hex(), files, signature)


def _read_all(root: Path, classes: Sequence[_Class], known: dict[str, tuple[str, str]], path: Path) -> None:
    """Read what is not known and keep what is found, now and then too, so that an interruption costs little. DataError if any is broken."""
    num_files = sum(len(each.files) for each in classes)
    report = reporter(root, num_files, what="looked at")
    broken: list[str] = []
    written = time.monotonic()
    for found in in_parallel(_read, classes, num_files=num_files):
        report(len(found.of.files))
        broken += found.broken
        if not found.broken:
            known[found.of.name] = (found.of.signature, found.digest)
        if time.monotonic() - written > _SECONDS_BETWEEN_WRITES:
            _cache.write(path, _Known(known))
            written = time.monotonic()
    _cache.write(path, _Known(known))
    if broken:
        refuse(root, sorted(broken))


def _read(each: _Class) -> _Read:
    whole = hashlib.sha256()
    broken = []
    for file in each.files:
        path = os.path.join(each.root, file.path)
        try:
            with open(path, "rb") as opened:
                whole.update(hashlib.file_digest(opened, "sha256").digest())
            header = probe(path)
        except (OSError, BrokenImage) as error:
            broken.append(f"{path}: {error}")
            continue
        if max(header.width, header.height) > _LONGEST * min(header.width, header.height):
            broken.append(f"{path}: {header.width} x {header.height} pixels, more than {_LONGEST} times as long as wide")
    return _Read(each, whole.hexdigest()[:32], tuple(broken))
