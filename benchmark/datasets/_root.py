"""A folder of images as a suite names it: its place and its two parts. For the data sets that read such folders."""

from __future__ import annotations

from pathlib import Path

from benchmark.errors import DataError, InvalidValue, shown
from benchmark.records import Folders


def check_root(root: str) -> None:
    """InvalidValue for a relative path that leaves the folder it is relative to."""
    path = Path(root).expanduser()
    if not path.is_absolute() and ".." in path.parts:
        raise InvalidValue(f"the relative path {shown(root)} of 'root' leaves its folder. Give an absolute path, or one without '..'.")


def check_parts(parts: tuple[str, str] | None) -> None:
    """InvalidValue unless these are two folders of the root."""
    if parts is not None and (len(set(parts)) != 2 or any(Path(part).name != part for part in parts)):
        raise InvalidValue(f"expected two different names of folders in 'root' for 'parts', found {list(parts)}.")


def find_root(root: str, folders: Folders, *, remedy: str) -> Path:
    """The folder, looked for beside the suite and then in the data roots; DataError with the places and the remedy where it is in none."""
    path = Path(root).expanduser()
    bases = [folder for folder in (folders.suite, *folders.data) if folder is not None]
    places = [path] if path.is_absolute() else list(dict.fromkeys(base / path for base in bases))
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        searched = "".join(f"\n  - {place}" for place in places)
        raise DataError(f"the image folder {shown(root)} was not found. Looked for:{searched}\n{remedy}")
    return found.resolve()
