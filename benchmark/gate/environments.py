"""Python environments for revisions of a repository: ours where they ask for the same dependencies, else one built for theirs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.errors import SkewbenchError
from benchmark.identity import digest

LOCKS = ("requirements.lock", "requirements.txt", "pylock.toml", "uv.lock", "poetry.lock")
"""Files that say what is installed; of pyproject.toml, its dependencies alone."""
Builder = Callable[[Path, Path], None]
"""Makes an environment at the second path for the checkout at the first."""


class EnvironmentFailed(SkewbenchError):
    """The dependencies of a revision could not be installed: it is skipped, not called bad."""


def lock_text(checkout: Path) -> str:
    """What a checkout says about its dependencies; empty where it says nothing."""
    parts = [f"{name}\n{(checkout / name).read_text()}" for name in LOCKS if (checkout / name).is_file()]
    return "\n".join([*parts, *_declared(checkout)])


def _declared(checkout: Path) -> list[str]:
    """`requires-python` and the dependencies of pyproject.toml; the rest of that file installs nothing."""
    file = checkout / "pyproject.toml"
    if not file.is_file():
        return []
    try:
        project = tomllib.loads(file.read_text()).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFailed(f"{file} cannot be read: {error}") from error
    return [str(project.get("requires-python", "")), *map(str, project.get("dependencies", ()))]


@dataclass
class Environments:
    """Interpreters by dependencies. `reference`: the checkout that the running interpreter was set up for."""

    reference: Path
    folder: Path
    build: Builder = field(default_factory=lambda: build_with_pip)

    def python(self, checkout: Path) -> tuple[Path, bool]:
        """The interpreter for a checkout, and whether it is the running one. EnvironmentFailed where one cannot be built."""
        text = lock_text(checkout)
        if text == lock_text(self.reference):
            return Path(sys.executable), True
        target = self.folder / digest(text)
        if not (target / "ready").exists():
            self.build(checkout, target)
            (target / "ready").touch()
        return target / "bin" / "python", False


def build_with_pip(checkout: Path, target: Path) -> None:
    """`python -m venv`, then pip with the checkout's own requirements, or with what its pyproject.toml declares.

    EnvironmentFailed where the versions stand in a lock file of another tool: pip would take the newest, and its regressions with them.
    """
    listed = next((checkout / name for name in LOCKS[:2] if (checkout / name).is_file()), None)
    other = next((name for name in LOCKS[2:] if (checkout / name).is_file()), None)
    if other and not listed:
        raise EnvironmentFailed(f"pip cannot install from {other}: a requirements.lock beside it would say which versions to take.")
    _call([sys.executable, "-m", "venv", "--clear", str(target)])
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = ["-r", str(listed)] if listed else _declared(checkout)[1:]
    if wanted:
        _call([*pip, *wanted], cwd=checkout)


def _call(command: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(command[:4])} … failed: {done.stderr.strip()[-1000:]}")
