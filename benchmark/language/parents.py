"""Where suites are found: shipped ones by name, others by path, and the parent that `extends` names."""

from __future__ import annotations

import difflib
from pathlib import Path

from benchmark.errors import UserError, shown, unknown
from benchmark.language.document import display, parse, read_file
from benchmark.language.located import Node, failure
from benchmark.language.settings import over
from suites import FOLDER

SUFFIXES = (".yaml", ".yml")
_MERGED = ("recipe", "defaults")
"""Top-level keys whose entries are merged with the parent's; every other key replaces it."""


def shipped() -> dict[str, Path]:
    """The suites that come with skewbench, by name: `quickstart`, `regression/nightly`."""
    return {str(path.relative_to(FOLDER).with_suffix("").as_posix()): path for path in sorted(FOLDER.rglob("*.yaml"))}


def find(name_or_path: str) -> Path:
    """The file of a suite; UserError with the nearest shipped name if there is none."""
    known = shipped()
    if name_or_path in known:
        return known[name_or_path]
    if not name_or_path or "\0" in name_or_path or "\n" in name_or_path:
        raise UserError(f"expected a suite's name or the path of its file, found {shown(name_or_path)}.")
    path = Path(name_or_path)
    _refuse_other(path)
    if path.suffix in SUFFIXES or "/" in name_or_path or "\\" in name_or_path:
        return path
    raise UserError(f"{unknown('suite', name_or_path, known)} A file of your own is given with its ending: `{name_or_path}.yaml`.")


def _refuse_other(path: Path) -> None:
    """Say what a path that is there is, if it is no suite's file."""
    try:
        there, is_folder = path.exists(), path.is_dir()
    except OSError:
        return
    if is_folder:
        raise UserError(f"{display(path)} is a folder: expected a suite's name or its file, which ends in .yaml.")
    if there and path.suffix not in SUFFIXES:
        raise UserError(f"{display(path)} is there, but a suite ends in .yaml.")


def extended(child: Node, path: Path) -> Node:
    """The suite with its parent's keys filled in, if it has a parent."""
    given = child.items.get("extends")
    if given is None:
        return child
    parent_path = _parent(given, path.parent)
    parent = parse(read_file(parent_path), source=display(parent_path))
    if "extends" in parent.items:
        raise failure(given, _too_deep(given, path, parent_path))
    if not isinstance(parent.value, dict):
        raise failure(given, f"{display(parent_path)} is no suite: expected a mapping at its top.")
    return _merged(parent.without("suite"), child.without("extends"))


def _too_deep(given: Node, path: Path, parent_path: Path) -> str:
    if parent_path.resolve() == path.resolve():
        return "a suite cannot extend itself."
    return f"'{given.value}' extends another suite itself: `extends` goes one level deep."


def _parent(given: Node, folder: Path) -> Path:
    name = given.value
    if not isinstance(name, str) or not name.strip():
        raise failure(given, f"expected a shipped suite's name or a file in the same folder, found {shown(given.plain)}.")
    known = shipped()
    if name in known:
        return known[name]
    if name.startswith(("/", "\\", "~")) or ".." in name or "\\" in name or Path(name).suffix in SUFFIXES and "/" in name:
        raise failure(given, f"'{name}' leaves the suite's folder: name a shipped suite or a file in the same folder.")
    file = folder / name
    if Path(name).suffix not in SUFFIXES:
        files = [item.name for item in folder.glob("*.y*ml")] if folder.is_dir() else []
        near = difflib.get_close_matches(name, files, n=1)
        raise failure(given, f"{unknown('suite', name, [*known, *near])} A file is named with its ending.")
    if file.is_symlink() and file.resolve().parent != folder.resolve():
        raise failure(given, f"'{name}' is a link out of the suite's folder: refused.")
    if not _is_file(file):
        raise failure(given, f"there is no file '{name}' beside this suite ({display(folder)}).")
    return file


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _merged(parent: Node, child: Node) -> Node:
    merged = Node({**parent.items, **child.items}, child.place, child.path, {**parent.keys, **child.keys})
    for key in _MERGED:
        both = over(parent.items.get(key), child.items.get(key))
        merged = merged if both is None else merged.having(key, both)
    return merged
