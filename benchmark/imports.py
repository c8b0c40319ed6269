"""Importing other people's code: plug-in files from a folder, and whatever goes wrong in them."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark.errors import UserError
from benchmark.identity import digest, sources


def import_file(path: Path) -> str:
    """Import a plug-in file, and let it import what lies beside it; the name of its module. UserError if that fails."""
    file = path.resolve()
    if file.suffix != ".py":
        raise UserError(f"{file} is no Python file: expected a plug-in file (*.py) or a folder of them.")
    name = f"skewbench_plugins.{digest(str(file.parent))}.{file.stem}"  # two folders may hold files of one name
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    with other_peoples_code(f"the plug-in file {file}", remedy="Mend the file."):
        spec.loader.exec_module(module)
    _check_siblings(file)
    return name


@contextlib.contextmanager
def other_peoples_code(what: str, *, remedy: str) -> Iterator[None]:
    """Anything may go wrong inside: it becomes a UserError that says where."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{what} cannot be imported: {type(error).__name__}: {error}. {remedy}") from error


def _check_siblings(file: Path) -> None:
    """What a plug-in imports must be the module beside it, of which its key is made, not one of that name from elsewhere."""
    for beside in sources(file)[1:]:
        loaded = getattr(sys.modules.get(beside.stem), "__file__", None) if beside.parent == file.parent else None
        if loaded is not None and Path(loaded).resolve() != beside.resolve():
            raise UserError(f"{file} imports '{beside.stem}', and there are two of them: {beside} and {loaded}. Rename the first.")
