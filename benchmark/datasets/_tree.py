"""The files of an image folder: parts, classes, images, and a signature that changes when they do. Nothing is decoded here."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from benchmark.errors import DataError, shown

_TEXT_ENDINGS = (".txt", ".md", ".json", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".html", ".pdf", ".ini", ".db")
"""Files that stand beside images and are none. Anything else is taken for an image, so that none is left out in silence."""
_TEST_NAMES = ("test", "val", "valid", "validation")
REMEDY_PARTS = "name the two folders: `parts: [TRAIN, TEST]`"


class File(NamedTuple):
    """One image file; `path` is relative to the root. A named tuple, for there may be a million."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Tree:
    """Images of the training part, then of the test part, each by class in label order and by name; `test` is empty where there is none."""

    root: Path
    class_names: tuple[str, ...]
    train: tuple[tuple[File, ...], ...]
    test: tuple[tuple[File, ...], ...]

    @cached_property
    def files(self) -> list[File]:
        """Every image in the order of the decoded array."""
        return [file for part in (self.train, self.test) for images in part for file in images]

    @cached_property
    def signature(self) -> str:
        """Digest over path, size and time of change of each image: an edit that keeps all three goes unseen."""
        lines = [f"{path}\0{size}\0{mtime_ns}" for path, size, mtime_ns in self.files]
        text = "\n".join([str(sum(map(len, self.train))), *lines])
        return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def scan(root: Path, *, parts: tuple[str, str] | None = None) -> Tree:
    """List `root/{train,test}/<class>/*` or `root/<class>/*`; DataError where it is neither, or where the two parts differ in classes."""
    parts = parts or find_parts(root)
    if parts is None:
        train, test = _classes(root, ""), {}
    else:
        train, test = (_classes(root, part) for part in parts)
        _check_same_classes(root, parts, set(train), set(test))
    names = sorted(train)
    return Tree(root, tuple(names), tuple(train[name] for name in names), tuple(test[name] for name in names if test))


def find_parts(root: Path) -> tuple[str, str] | None:
    """("train", "test") where the root has these two folders, None where its folders are the classes."""
    names = [entry.name for entry in _folders(root, root)]
    others = sorted(set(names) - {"train", "test"})
    if "train" not in names:
        return None
    if "test" in names and not others:
        return "train", "test"
    found = ", ".join(shown(name) for name in sorted(names)[:10])
    raise DataError(
        f"{root} holds the folders {found}: expected `train` and `test` alone, or one folder a class. Otherwise {REMEDY_PARTS}."
    )


def guess_parts(root: Path) -> tuple[str, str] | None:
    """The parts as a person would name them: `train` with the first of test, val, valid, validation; None for one folder a class."""
    names = {entry.name for entry in _folders(root, root)}
    test = next((name for name in _TEST_NAMES if name in names), None)
    return ("train", test) if "train" in names and test is not None else None


def _classes(root: Path, part: str) -> dict[str, tuple[File, ...]]:
    folder = root / part if part else root
    found: dict[str, tuple[File, ...]] = {}
    for entry in _folders(folder, root):
        name = _class_name(entry)
        if name in found:
            raise DataError(f"two folders in {folder} are called {shown(name)} in different Unicode forms. Rename or merge them.")
        found[name] = _images(entry, prefix=f"{part}/{entry.name}/" if part else f"{entry.name}/", root=root)
    if len(found) < 2:
        raise DataError(f"{folder} holds {len(found)} class folder{'s' * (len(found) != 1)}: expected two or more, each with its images.")
    return found


def _class_name(entry: os.DirEntry[str]) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"the folder name {shown(entry.name)} is not valid UTF-8. Rename it.") from None
    return unicodedata.normalize("NFC", entry.name)  # some systems store é as two characters: labels must not depend on that


def _folders(folder: Path, root: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in _entries(folder, root) if entry.is_dir() and not entry.name.startswith("__")]


def _images(folder: os.DirEntry[str], *, prefix: str, root: Path) -> tuple[File, ...]:
    found = []
    for entry in _entries(Path(folder.path), root):
        if entry.is_dir():
            raise DataError(
                f"found the folder {entry.name} in the class folder {folder.path}: expected images only. "
                f"If {folder.name} is a part and no class, {REMEDY_PARTS}."
            )
        if not entry.name.lower().endswith(_TEXT_ENDINGS):
            stat = _stat(entry)
            found.append(File(prefix + entry.name, stat.st_size, stat.st_mtime_ns))
    if not found:
        raise DataError(f"the class folder {folder.path} holds no image. Add some or remove the folder.")
    return tuple(sorted(found, key=lambda file: file.path))


def _stat(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat()
    except FileNotFoundError:
        raise DataError(f"{entry.path} vanished or is a link to nothing. Remove it or mend it.") from None


def _entries(folder: Path, root: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, hidden names left out; DataError for a link out of the root."""
    real_root = root.resolve()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(real_root):
                    raise DataError(
                        f"{entry.path} links to {os.path.realpath(entry.path)}, outside {root}. Copy the files into the folder instead."
                    )
                yield entry
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{folder} is no folder: expected the images there, one folder a class.") from None
    except PermissionError as error:
        raise DataError(f"{folder} cannot be read: {error}.") from error


def _check_same_classes(root: Path, parts: tuple[str, str], train: set[str], test: set[str]) -> None:
    if train == test:
        return
    lacking = [
        f"only in {part}: {', '.join(shown(name) for name in sorted(names)[:10])}{' …' * (len(names) > 10)}"
        for part, names in ((parts[0], train - test), (parts[1], test - train))
        if names
    ]
    raise DataError(f"{root}: both parts must have the same classes. Found {'; '.join(lacking)}.")
