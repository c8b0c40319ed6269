"""The README is run: its commands in order, its suite, its plug-in, its links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
NOT_HERE = ("make ", "python3 -m venv", "pip install", "pytest", "skewbench ui", "skewbench serve")
"""Set-up and tests are what CI does; the page is served and fetched in test_tracking_cli.py and test_team.py."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line.partition("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(NOT_HERE)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's reader has: the suite, the plug-in, some images."""
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
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_runs_as_written(place: Path, command: str) -> None:
    words = shlex.split(command)
    assert words[0] == "skewbench"
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *words[1:]], cwd=place, capture_output=True, text=True, env=dict(os.environ), timeout=300
    )
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
