"""Image streams: what is cut out of which picture, layouts, fingerprints, and broken files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from test_image_folder import picture, save, two_classes
from torchvision import transforms

from benchmark.datasets import Dataset, _content
from benchmark.datasets._crop import CropDecoder
from benchmark.errors import DataError, InvalidValue
from benchmark.records import Folders
from benchmark.registry import build


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(data=(tmp_path,), cache=tmp_path / "cache")


def stream(root: Path | str, **options: Any) -> Dataset:
    return cast(Dataset, build("datasets", {"image-stream": {"root": str(root), "resize": 8, "crop": 6} | options}))


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    bands = {"L": (), "RGB": (3,), "CMYK": (4,), "RGBA": (4,)}[mode]
    random = np.random.default_rng(seed).integers(0, 256, (height, width, *bands), dtype=np.uint8)
    return Image.fromarray(random, mode=None if mode != "CMYK" else "CMYK")


def torchvisions(path: Path, resize: int, crop: int) -> np.ndarray[Any, Any]:
    """The reference: torchvision's own classes on the upright picture in RGB."""
    image = ImageOps.exif_transpose(Image.open(path))
    image = (image.convert("RGBA") if image.mode == "P" else image).convert("RGB")
    cut = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(crop)])(image)
    return np.asarray(cut).transpose(2, 0, 1)


def rotated(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PICTURES: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
    "landscape": (noise(50, 31), "jpg", {}),
    "portrait": (noise(27, 60), "jpg", {}),
    "of the size": (noise(20, 33), "png", {}),
    "smaller": (noise(9, 13), "png", {}),
    "grey": (noise(40, 30, "L"), "jpg", {}),
    "CMYK": (noise(40, 30, "CMYK"), "jpg", {}),
    "palette": (noise(40, 30).quantize(16), "png", {"transparency": 3}),
    "with transparency": (noise(30, 40, "RGBA"), "png", {}),
    "lying": (noise(50, 30), "jpg", {"exif": rotated(6)}),
    "mirrored": (noise(50, 30), "jpg", {"exif": rotated(2)}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_every_kind_become_what_torchvision_makes_of_them(name: str, tmp_path: Path) -> None:
    image, ending, options = PICTURES[name]
    path = save(image, tmp_path / f"0.{ending}", **options)
    found = CropDecoder(20, 16, augment=True)(str(path))
    assert (found.dtype, found.shape) == (np.uint8, (3, 16, 16))
    assert np.array_equal(found, torchvisions(path, 20, 16))


@settings(max_examples=40)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(4, 40), st.data())
def test_every_size_becomes_what_torchvision_makes_of_it(width: int, height: int, resize: int, data: st.DataObject) -> None:
    crop = data.draw(st.integers(4, resize))
    path = Path(os.environ["XDG_CACHE_HOME"]) / "any size.png"
    save(noise(width, height), path)
    assert np.array_equal(CropDecoder(resize, crop, augment=False)(str(path)), torchvisions(path, resize, crop))


def test_a_large_jpeg_is_decoded_at_a_reduced_scale_and_hardly_differs(tmp_path: Path) -> None:
    smooth = noise(12, 9).resize((640, 480), Image.Resampling.BICUBIC)
    path = save(smooth, tmp_path / "0.jpg", quality=95)
    difference = CropDecoder(20, 16, augment=False)(str(path)).astype(int) - torchvisions(path, 20, 16)
    assert 0 < np.abs(difference).max() <= 6


def test_random_numbers_say_where_the_crop_lies_and_whether_it_is_mirrored(tmp_path: Path) -> None:
    """A picture that tells its coordinates: red is x, green is y."""
    columns, rows = np.meshgrid(np.arange(30), np.arange(20))
    image = Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8))
    path = str(save(image, tmp_path / "0.png"))
    decode = CropDecoder(20, 16, augment=True)
    largest = np.nextafter(1.0, 0.0)
    assert decode.draws == 3
    for draws, corners in {
        (0.0, 0.0, 0.7): ((0, 0), (15, 15)),
        (largest, largest, 0.7): ((14, 4), (29, 19)),
        (0.0, largest, 0.3): ((29, 0), (14, 15)),
        (0.2, 0.5, 0.5): ((7, 1), (22, 16)),
    }.items():
        found = decode(path, np.array(draws))
        assert (tuple(found[:2, 0, 0]), tuple(found[:2, 15, 15])) == corners
    assert CropDecoder(20, 16, augment=False).draws == 0


@pytest.mark.parametrize(("parts", "options"), [(("train", "val"), {}), (("train", "test"), {}), (("a", "b"), {"parts": ["a", "b"]})])
def test_layouts_with_two_parts(parts: tuple[str, str], options: dict[str, Any], root: Path, folders: Folders) -> None:
    two_classes(root / parts[0], per_class=3)
    two_classes(root / parts[1], per_class=1)
    info, images = stream(root, **options).info(folders), stream(root, **options).load(folders)
    assert (info.shape, info.class_names, info.train_counts, info.test_counts) == ((3, 6, 6), ("a", "b"), (3, 3), (1, 1))
    assert (images.num_train, images.labels_N.tolist()) == (6, [0, 0, 0, 1, 1, 1, 0, 1])
    assert images.paths[4] == str(root / parts[0] / "b" / "1.png")
    assert images.decoder(images.paths[4])[:, 0, 0].tolist() == [100, 10, 7]


def test_one_folder_a_class_has_no_test_part(root: Path, folders: Folders) -> None:
    two_classes(root, per_class=3)
    info, images = stream("images").info(folders), stream("images").load(folders)
    assert (info.train_counts, info.test_counts, images.num_train, len(images.labels_N)) == ((3, 3), (0, 0), 6, 6)


def test_an_absent_folder_says_what_to_put_where(tmp_path: Path, folders: Folders) -> None:
    with pytest.raises(DataError, match=r"'imagenet' was not found") as caught:
        stream("imagenet").info(folders)
    assert str(tmp_path / "imagenet") in str(caught.value)
    assert "train/<class>/* and val/<class>/*" in str(caught.value)
    assert "https://image-net.org" in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"crop": 9}, {"parts": ["a", "a"]}, {"parts": ["a", "../b"]}, {"root": "../elsewhere"}, {"workers": -1}]
)
def test_impossible_parameters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        stream(**{"root": "images"} | options)


def test_a_link_out_of_the_folder_is_refused(root: Path, folders: Folders, tmp_path: Path) -> None:
    two_classes(root)
    (root / "a" / "2.png").symlink_to(save(picture(0), tmp_path / "secret.png"))
    with pytest.raises(DataError, match="outside"):
        stream(root).info(folders)


def test_the_fingerprint_goes_by_content_and_not_by_place_or_time(root: Path, folders: Folders, tmp_path: Path) -> None:
    two_classes(root)
    before = stream(root).info(folders).fingerprint
    os.utime(root / "a" / "0.png", (0, 0))
    assert stream(root).info(folders).fingerprint == before
    moved = root.rename(tmp_path / "moved")
    assert stream(moved).info(folders).fingerprint == before
    save(picture((1, 2, 3)), moved / "a" / "0.png")
    assert stream(moved).info(folders).fingerprint != before


def test_the_fingerprint_tells_apart_where_files_stand(root: Path, folders: Folders) -> None:
    """The same files in another class, in another order, and in the other part."""
    two_classes(root / "train", per_class=3)
    two_classes(root / "val", per_class=3)
    found = [stream(root).info(folders).fingerprint]
    for one, other in (("train/a/0.png", "train/b/0.png"), ("train/a/0.png", "train/a/1.png"), ("train/a/0.png", "val/a/2.png")):
        content = (root / one).read_bytes()
        (root / one).write_bytes((root / other).read_bytes())
        (root / other).write_bytes(content)
        found.append(stream(root).info(folders).fingerprint)
    assert len(set(found)) == 4


def test_a_class_whose_files_are_unchanged_is_not_read_again(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root)
    read: list[str] = []
    monkeypatch.setattr(_content, "probe", lambda path, probe=_content.probe: (read.append(Path(path).parent.name), probe(path))[1])
    before = stream(root).info(folders)
    assert sorted(read) == ["a", "a", "b", "b"]
    read.clear()
    assert stream(root).info(folders) == before
    assert read == []
    save(picture((1, 2, 3)), root / "b" / "5.png")
    assert stream(root).info(folders).train_counts == (2, 3)
    assert read == ["b"] * 3


def test_broken_files_are_named_before_anything_is_trained(root: Path, folders: Folders) -> None:
    two_classes(root)
    whole = (root / "a" / "0.png").read_bytes()
    (root / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "b" / "0.png").write_text("no picture")
    save(Image.new("RGB", (1, 101)), root / "b" / "1.png")
    with pytest.raises(DataError, match=r"3 files of .* cannot be used") as caught:
        stream(root).info(folders)
    assert all(str(root / name) in str(caught.value) for name in ("a/1.png", "b/0.png", "b/1.png"))
    two_classes(root)
    assert stream(root).info(folders).train_counts == (2, 2)


def test_a_file_that_breaks_later_is_named_where_it_is_decoded(root: Path, folders: Folders) -> None:
    two_classes(root)
    images = stream(root).load(folders)
    (root / "b" / "0.png").write_text("no picture")
    with pytest.raises(DataError, match=rf"{root}/b/0.png cannot be used: not an image"):
        images.decoder(images.paths[2])
