"""The colours of methods: seen on their paper, and told apart by people with any kind of colour vision, or else by their markers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.charts import DARK_PALETTE, MARKERS, PALETTE
from reports.page import TEMPLATES

VISION = {
    "normal": np.eye(3),
    # Machado, Oliveira & Fernandes 2009, severity 1.0
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
NEAREST = {"normal": 40.0, "protanopia": 20.0, "deuteranopia": 20.0, "tritanopia": 15.0}
"""Smallest distance (CIE 1976) of two colours; they differ in their markers too."""


def linear(color: str) -> NDArray[np.float64]:
    """sRGB in [0, 1] without its gamma."""
    values = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    """WCAG 2.2."""
    bright = sorted(float(linear(color) @ (0.2126, 0.7152, 0.0722)) for color in (first, second))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", VISION)
@pytest.mark.parametrize("palette", [PALETTE, DARK_PALETTE], ids=["light", "dark"])
def test_colours_are_told_apart(palette: tuple[str, ...], kind: str) -> None:
    seen = [lab(VISION[kind] @ linear(color)) for color in palette]
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in itertools.combinations(range(len(palette)), 2)}
    nearest = min(distances, key=lambda pair: distances[pair])
    assert distances[nearest] >= NEAREST[kind], (palette[nearest[0]], palette[nearest[1]], distances[nearest])


def test_colours_are_seen_on_their_paper() -> None:
    assert min(contrast(color, "#ffffff") for color in PALETTE) >= 3
    assert min(contrast(color, "#15171a") for color in DARK_PALETTE) >= 3
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_texts_are_read_on_their_paper() -> None:
    text = (TEMPLATES / "style.css").read_text()
    light, dark = (dict(part.split(":") for part in block.replace(" ", "").split(";") if part.startswith("--"))
                   for block in (text.split("{")[1].split("}")[0], text.split("{")[3].split("}")[0]))  # fmt: skip
    for theme in (light, dark):
        for name in ("--ink", "--soft", "--link", "--bad", "--good", "--open"):
            for paper in ("--paper", "--card"):
                assert contrast(full(theme[name]), full(theme[paper])) >= 4.5, (name, paper)


def full(color: str) -> str:
    return color if len(color) == 7 else "#" + "".join(2 * digit for digit in color[1:])


def test_neighbours_differ_in_their_markers_too() -> None:
    assert len(set(MARKERS[: len(PALETTE)])) == len(PALETTE) == len(DARK_PALETTE)
