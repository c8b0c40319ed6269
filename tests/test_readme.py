"""The README is run: its commands in order, its suite, its plug-in, its links."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
NOT_HERE = ("make ", "python3 -m venv", "pip install", "pytest", "skewbench ui", "skewbench serve")
"""Set-up and tests are what CI does; the page is served and fetched in test_tracking_cli.py and test_team.py."""
NEEDS = {
    "pull quickstart": ("run quickstart",),
    "report quickstart --store from-mlflow": ("pull quickstart",),
    "run my-tuned.yaml": ("tune my-tuning.yaml --trials 6 --apply",),
    "plan my-suite.yaml": ("new my-suite",),
    "run my-suite.yaml": ("new my-suite",),
    "merge part-1 part-2": ("run my-first.yaml --shard 1/2", "run my-first.yaml --shard 2/2"),
    "gate my-first.yaml": ("baseline accept",),
    "baseline export": ("baseline accept",),
    "baseline import": ("baseline export",),
    "baseline list": ("baseline accept",),
    "schedule next": ("schedule add",),
    "schedule export": ("schedule add",),
    "history my-first.yaml": ("run my-first.yaml",),
}
"""How a command begins, and those that its reader has given before: several processes share the tests out as they like."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line.partition("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(NOT_HERE)]


def needed(command: str) -> list[str]:
    """The README's first command that begins like each that must have run before this one."""
    begun = next((before for begins, before in NEEDS.items() if command.startswith(f"skewbench {begins}")), ())
    return [next(known for known in commands() if known.startswith(f"skewbench {begins}")) for begins in begun]


@dataclass
class Reader:
    """Somebody who gives the README's commands in a folder of theirs, each once."""

    folder: Path
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def gives(self, command: str) -> subprocess.CompletedProcess[str]:
        if command not in self.done:
            for before in needed(command):
                self.gives(before)
            words = [sys.executable, "-m", "benchmark", *shlex.split(command)[1:]]
            self.done[command] = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=300)
        return self.done[command]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """In a folder with what the README's reader has: the suite, the plug-in, some images."""
    folder = tmp_path_factory.mktemp("reader")
    (suite,) = (block for block in blocks("yaml") if block.startswith("suite:"))
    (folder / "my-first.yaml").write_text(suite)
    (tuning,) = (block for block in blocks("yaml") if block.startswith("extends:"))
    (folder / "my-tuning.yaml").write_text(tuning)
    (folder / "plugins").mkdir()
    for block in blocks("python"):
        name = re.findall(r'@plugin\("(.*)"\)', block)[0]
        (folder / "plugins" / f"{name.replace('-', '_')}.py").write_text(block)
    random = np.random.default_rng(0)
    for name, number in (("cat", 40), ("dog", 12)):
        (folder / "my-images" / name).mkdir(parents=True)
        for index in range(number):
            pixels = random.integers(0, 256, (40, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "my-images" / name / f"{index}.png")
    return Reader(folder)


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs_as_written(reader: Reader, command: str) -> None:
    assert command.startswith("skewbench ")
    done = reader.gives(command)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_commands() -> None:
    assert len(commands()) > 10


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / target).exists(), target


def test_every_verb_is_shown() -> None:
    from benchmark.cli import cli

    missing = [name for name in cli.list_commands(click.Context(cli)) if f"skewbench {name}" not in TEXT]
    assert missing == []
