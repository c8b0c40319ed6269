"""What an installed skewbench would lack if pyproject.toml fell behind the tree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_is_listed():
    """Discovery is off, since setuptools leaves out packages called `benchmark`."""
    top = ("benchmark", "reports", "suites", "trackers")
    there = {".".join(file.parent.relative_to(ROOT).parts) for name in top for file in (ROOT / name).rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == there


def test_every_data_file_is_covered():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package, patterns in data.items():
        folder = ROOT / package
        covered = {file for pattern in patterns for file in folder.glob(pattern)}
        there = {file for file in folder.rglob("*") if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts}
        assert there <= covered, there - covered


def test_every_dependency_has_a_lower_bound_and_is_used():
    source = "\n".join(f.read_text() for name in ("benchmark", "trackers", "reports") for f in (ROOT / name).rglob("*.py"))
    modules = {
        "nvidia-ml-py": "pynvml",
        "pillow": "PIL",
        "pyyaml": "yaml",
        "scikit-learn": "sklearn",
        "scikit-posthocs": "scikit_posthocs",
    }
    for dependency in PROJECT["project"]["dependencies"]:
        name = re.split(r"[><=]", dependency)[0]
        assert ">=" in dependency, dependency
        if name != "plotly":  # its script is copied into reports, none of its Python is imported
            assert re.search(rf"\b(import|from) {modules.get(name, name)}\b", source), f"{name} is a dependency that nothing imports"
