"""`skewbench new`: what is seen of a folder, and that the suite written for it can be read and means what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark import registry
from benchmark.cli.users import new as new_command
from benchmark.datasets import Dataset
from benchmark.errors import DataError, UserError
from benchmark.records import Folders
from benchmark.scaffold import FolderReport, inspect_folder, quoted, suite_text
from benchmark.spec import read_suite


def draw_folder(root: Path, counts: Mapping[str, int], *, side: tuple[int, int] = (20, 30), mode: str = "RGB") -> Path:
    for name, number in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(number):
            Image.new(mode, side, index).save(root / name / f"{index}.png")
    return root


def report(**changes: Any) -> FolderReport:
    whole = FolderReport(
        root=Path("/data/birds"),
        parts=None,
        class_names=("jay", "wren"),
        train_counts=(100, 100),
        test_counts=(0, 0),
        widths=(32, 32),
        heights=(32, 32),
        median_side=32,
        modes={"RGB": 200},
        broken=(),
    )
    return replace(whole, **changes)


def suite(found: FolderReport, *, name: str = "birds") -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load(suite_text(name, found)))


def test_a_folder_without_test_part(tmp_path: Path) -> None:
    found = inspect_folder(draw_folder(tmp_path / "x", {"cat": 6, "dog": 2}))
    assert (found.parts, found.class_names, found.train_counts, found.test_counts) == (None, ("cat", "dog"), (6, 2), (0, 0))
    assert (found.imbalance_ratio, found.widths, found.heights, found.median_side) == (3, (20, 20), (30, 30), 20)
    assert (dict(found.modes), found.broken) == ({"RGB": 8}, ())


@pytest.mark.parametrize("test_part", ["test", "val"])
def test_a_folder_with_two_parts(tmp_path: Path, test_part: str) -> None:
    for part, number in (("train", 4), (test_part, 1)):
        draw_folder(tmp_path / part, {"cat": number, "dog": number}, mode="L")
    found = inspect_folder(tmp_path)
    assert (found.parts, found.train_counts, found.test_counts) == (("train", test_part), (4, 4), (1, 1))
    parameters = suite(found)["grid"]["dataset"]["image-folder"]
    assert "train_fraction" not in parameters
    assert parameters.get("parts") == (["train", "val"] if test_part == "val" else None)


def test_broken_files_are_reported_not_raised(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "x", {"cat": 3, "dog": 3})
    (root / "cat" / "bad.jpg").write_bytes(b"no")
    Image.effect_noise((64, 64), 50).save(root / "cat" / "cut.jpg")
    (root / "cat" / "cut.jpg").write_bytes((root / "cat" / "cut.jpg").read_bytes()[:900])
    found = inspect_folder(root)
    assert len(found.broken) == 2
    assert found.train_counts == (3, 3)
    assert found.text().splitlines()[-1] == "2 broken files: mend or remove them first"
    assert "bad.jpg: not an image" in found.broken[0]
    assert "truncated" in found.broken[1]
    assert "bad.jpg" in found.text()
    assert "# Broken files: 2" in suite_text("x", found)


def test_sizes_are_those_of_upright_images(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "x", {"cat": 1, "dog": 1})
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("cat", "dog"):
        Image.new("RGB", (40, 10)).save(root / name / "0.png", exif=exif)
    found = inspect_folder(root)
    assert (found.widths, found.heights) == ((10, 10), (40, 40))


def test_what_is_no_image_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected two or more"):
        inspect_folder(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        inspect_folder(tmp_path / "absent")


def test_the_report_is_readable(tmp_path: Path) -> None:
    text = inspect_folder(draw_folder(tmp_path / "x", {"cat": 6, "dog": 2})).text()
    assert text.splitlines()[1:] == [
        "images: 8 train, 0 test, 2 classes",
        '  "cat": 6 train, 0 test',
        '  "dog": 2 train, 0 test',
        "imbalance: largest / smallest class = 3",
        "width 20, height 30; modes: RGB 8",
    ]


def test_every_part_of_the_suite_is_understood(tmp_path: Path) -> None:
    found = inspect_folder(draw_folder(tmp_path / "it's a: 'test'\\", {"a\n- b": 12, '"c" # d': 12}))
    grid = suite(found)["grid"]
    dataset = cast(Dataset, registry.build("datasets", grid["dataset"]))
    info = dataset.info(Folders((), tmp_path / "cache"))
    assert info.class_names == found.class_names == ('"c" # d', "a\n- b")
    assert dataset.train_fraction == 0.8
    registry.build("imbalances", grid["imbalance"])
    registry.build("models", grid["model"])
    assert grid["method"] == ["none", "ros", "rus", {"thresholding": {"base": ["none", "ros"]}}, "class-weights"]


def test_the_suite_reads_as_a_suite(tmp_path: Path) -> None:
    path = tmp_path / "birds.yaml"
    path.write_text(suite_text("birds", inspect_folder(draw_folder(tmp_path / "x", {"cat": 30, "dog": 30}))), encoding="utf-8")
    assert read_suite(str(path)).name == "birds"


def test_the_suite_is_about_twenty_lines_with_comments() -> None:
    lines = suite_text("birds", report()).splitlines()
    assert 15 <= len(lines) <= 25
    assert sum("#" in line for line in lines) >= 5
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize(
    ("changes", "imbalance"),
    [
        ({"train_counts": (100, 100)}, {"step": {"ratio": 10, "minority": 0.5}}),
        ({"train_counts": (50, 40)}, {"step": {"ratio": 6, "minority": 0.5}}),  # 32 to train, 5 must stay
        ({"train_counts": (50, 40), "test_counts": (9, 9)}, {"step": {"ratio": 8, "minority": 0.5}}),
        ({"train_counts": (500, 100)}, "none"),  # its own imbalance
        ({"train_counts": (9, 8)}, "none"),  # too few
    ],
)
def test_the_imbalance_fits_the_counts(changes: dict[str, Any], imbalance: object) -> None:
    assert suite(report(**changes))["grid"]["imbalance"] == imbalance


@pytest.mark.parametrize(("side", "size"), [(28, 32), (48, 32), (49, 64), (1000, 64)])
def test_the_size_fits_the_images(side: int, size: int) -> None:
    assert suite(report(median_side=side))["grid"]["dataset"]["image-folder"]["size"] == size


@pytest.mark.parametrize(
    ("changes", "iterations"),
    [
        ({"train_counts": (40, 12)}, 100),
        ({"train_counts": (200, 100)}, 225),  # thirty times over 240 images, 32 at a time
        ({"train_counts": (200, 100), "test_counts": (9, 9)}, 281),
        ({"train_counts": (5000, 100)}, 500),
    ],
)
def test_few_images_are_trained_on_for_few_steps(changes: dict[str, Any], iterations: int) -> None:
    assert suite(report(**changes))["recipe"]["iterations"] == iterations


@pytest.mark.parametrize("name", ["", "My-suite", "a b", "-a", "a/b", "../a", "a\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="suite's name"):
        suite_text(name, report())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw_folder(tmp_path / "x", {"cat": 3, "dog": 3})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> str:
    return CliRunner().invoke(new_command, [*arguments, "--data", "x"], catch_exceptions=False).output


def test_an_ending_of_the_name_is_left_out(place: Path) -> None:
    assert "Wrote mine.yaml. Next: skewbench plan mine.yaml" in new("mine.yaml")
    assert read_suite("mine.yaml").name == "mine"


def test_broken_files_are_the_next_thing_to_do(place: Path) -> None:
    (place / "x" / "cat" / "bad.jpg").write_bytes(b"no")
    assert new("mine").endswith("Wrote mine.yaml. 1 broken file: mend or remove them first\n")


def test_the_name_of_a_shipped_suite_wants_force(place: Path) -> None:
    with pytest.raises(UserError, match="'quickstart' is the name of a shipped suite"):
        new("quickstart")
    assert "Wrote quickstart.yaml" in new("quickstart", "--force")


def test_a_class_of_broken_files_alone_is_described(place: Path) -> None:
    for file in (place / "x" / "cat").iterdir():
        file.write_bytes(b"no")
    assert "# Broken files: 3" in suite_text("x", inspect_folder(place / "x"))


@pytest.mark.parametrize("name", ["null", "1e3", "on", "2024"])
def test_a_name_stays_text(name: str) -> None:
    assert suite(report(), name=name)["suite"] == name


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_quoting(text: str) -> None:
    line = quoted(text)
    assert len(line.splitlines()) == 1
    assert yaml.safe_load(f"{{key: {line}}}") == {"key": text}
