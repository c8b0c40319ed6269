"""Image folders: layouts, pixels, broken files, and the cache of decoded images."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmark.datasets import Dataset, _decode, _folder_cache
from benchmark.errors import DataError, InvalidValue
from benchmark.records import Folders, Images
from benchmark.registry import build


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "images"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(data=(tmp_path,), cache=tmp_path / "cache")


def picture(value: int | tuple[int, ...], *, side: int = 8, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (side, side), value)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def two_classes(root: Path, *, per_class: int = 2) -> None:
    for label, name in enumerate(("a", "b")):
        for index in range(per_class):
            save(picture((label * 100, index * 10, 7)), root / name / f"{index}.png")


def folder(root: Path, **options: Any) -> Dataset:
    return cast(Dataset, build("datasets", {"image-folder": {"root": str(root), "size": 8} | options}))


def only_pixels(
    root: Path, folders: Folders, image: Image.Image, *, ending: str = "png", colour: str = "auto", **options: Any
) -> NDArray[np.uint8]:
    """The decoded form of one image in a folder of two classes that hold nothing else."""
    for name in ("a", "b"):
        save(image, root / name / f"0.{ending}", **options)
    return np.asarray(folder(root, colour=colour).load(folders).images_NCHW[0])


def test_flat_layout_has_no_test_part(root: Path, folders: Folders) -> None:
    two_classes(root, per_class=3)
    info, images = folder(root).info(folders), folder(root).load(folders)
    assert (info.shape, info.class_names, info.train_counts, info.test_counts) == ((3, 8, 8), ("a", "b"), (3, 3), (0, 0))
    assert images.num_train == 6 == len(images.labels_N)
    assert images.labels_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.images_NCHW[:, :, 0, 0].tolist() == [[label * 100, index * 10, 7] for label in (0, 1) for index in range(3)]
    assert isinstance(images.images_NCHW, np.memmap)
    assert not images.images_NCHW.flags.writeable


def test_train_and_test_layout(root: Path, folders: Folders) -> None:
    two_classes(root / "train", per_class=3)
    two_classes(root / "test", per_class=1)
    info, images = folder(root).info(folders), folder(root).load(folders)
    assert (info.train_counts, info.test_counts, images.num_train) == ((3, 3), (1, 1), 6)
    assert images.labels_N.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]


def test_other_part_names_must_be_said(root: Path, folders: Folders) -> None:
    for part in ("train", "val", "test"):
        two_classes(root / part, per_class=1)
    with pytest.raises(DataError, match=r"expected `train` and `test` alone.*parts: \[TRAIN, TEST\]"):
        folder(root).info(folders)
    assert folder(root, parts=["train", "val"]).info(folders).test_counts == (1, 1)


def test_parts_with_different_classes(root: Path, folders: Folders) -> None:
    two_classes(root / "train")
    two_classes(root / "test")
    (root / "test" / "b").rename(root / "test" / "c")
    with pytest.raises(DataError, match="only in train: 'b'; only in test: 'c'"):
        folder(root).info(folders)


def test_empty_class(root: Path, folders: Folders) -> None:
    two_classes(root)
    (root / "empty").mkdir()
    (root / "empty" / "notes.txt").write_text("not an image")
    with pytest.raises(DataError, match="empty holds no image"):
        folder(root).info(folders)


@pytest.mark.parametrize(
    "make", [lambda root: None, lambda root: root.mkdir(), lambda root: save(picture(0, mode="L"), root / "only" / "1.png")]
)
def test_not_an_image_folder(root: Path, folders: Folders, make: Callable[[Path], object]) -> None:
    make(root)
    with pytest.raises(DataError, match="was not found|expected two or more"):
        folder(root).info(folders)


def test_folder_in_a_class_folder(root: Path, folders: Folders) -> None:
    two_classes(root)
    (root / "a" / "more").mkdir()
    with pytest.raises(DataError, match="found the folder more in the class folder .*expected images only"):
        folder(root).info(folders)


def test_text_and_hidden_files_beside_images_are_left_out(root: Path, folders: Folders) -> None:
    two_classes(root)
    for name in ("labels.csv", ".DS_Store", "Thumbs.db"):
        (root / "a" / name).write_text("x")
    (root / ".git").mkdir()
    assert folder(root).info(folders).train_counts == (2, 2)


def test_unicode_names_have_one_form(root: Path, folders: Folders) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
    save(picture(1, mode="L"), root / "train" / composed / "ü ñ.png")
    save(picture(1, mode="L"), root / "test" / decomposed / "日本.png")
    for part in ("train", "test"):
        save(picture(1, mode="L"), root / part / "Ω: 'x'" / "1.png")
    assert folder(root).info(folders).class_names == (composed, "Ω: 'x'")


@pytest.mark.parametrize("colour", ["grey", "rgb", "auto"])
def test_grey_images(root: Path, folders: Folders, colour: str) -> None:
    found = only_pixels(root, folders, picture(77, mode="L"), colour=colour)
    assert found.shape == (3 if colour == "rgb" else 1, 8, 8)
    assert (found == 77).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (picture((1, 2, 3)), [1, 2, 3]),
        (picture((1, 2, 3, 9), mode="RGBA"), [1, 2, 3]),
        (picture((9, 200), mode="LA"), [9]),
        (picture(1, mode="1"), [255]),
        (picture((1, 2, 3)).quantize(4), [1, 2, 3]),
        (Image.fromarray(np.full((8, 8), 0x7FFF, np.uint16)), [0x7F]),
    ],
    ids=["rgb", "rgba", "grey and alpha", "bilevel", "palette", "16 bits"],
)
def test_modes(root: Path, folders: Folders, image: Image.Image, expected: list[int]) -> None:
    assert only_pixels(root, folders, image)[:, 0, 0].tolist() == expected


def test_palette_with_transparency(root: Path, folders: Folders) -> None:
    image = picture((5, 6, 7)).quantize(2)
    assert only_pixels(root, folders, image, transparency=b"\x00\x80")[:, 0, 0].tolist() == [5, 6, 7]


def test_one_coloured_image_makes_all_rgb(root: Path, folders: Folders) -> None:
    save(picture(50, mode="L"), root / "a" / "0.png")
    save(picture((1, 2, 3)), root / "b" / "0.png")
    assert folder(root).load(folders).images_NCHW[:, :, 0, 0].tolist() == [[50, 50, 50], [1, 2, 3]]


def test_exif_orientation_is_honoured(root: Path, folders: Folders) -> None:
    image = Image.fromarray(np.repeat(np.array([[0, 255]], np.uint8), 8, axis=0).repeat(4, axis=1))  # dark on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left side comes on top
    found = only_pixels(root, folders, image, exif=exif)
    assert found[0, 0].max() == 0
    assert found[0, -1].min() == 255


def test_resize_to_height_and_width(root: Path, folders: Folders) -> None:
    two_classes(root)
    images = folder(root, size=[6, 10]).load(folders).images_NCHW
    assert images.shape == (4, 3, 6, 10)
    wanted = Image.open(root / "a" / "1.png").resize((10, 6), Image.Resampling.BILINEAR)
    assert (images[1] == np.asarray(wanted).transpose(2, 0, 1)).all()


def test_a_large_jpeg_is_much_as_pillow_has_it(root: Path, folders: Folders) -> None:
    ramp = np.add.outer(np.arange(200), np.arange(300))
    image = Image.fromarray((ramp / ramp.max() * 255).astype(np.uint8))
    found = only_pixels(root, folders, image, ending="jpg")
    wanted = np.asarray(image.resize((8, 8), Image.Resampling.BILINEAR)).astype(int)
    assert abs(found[0] - wanted).max() <= 3


def test_broken_images_are_named_and_counted(root: Path, folders: Folders) -> None:
    two_classes(root)
    whole = save(Image.effect_noise((64, 64), 50), root / "a" / "cut.jpg")
    whole.write_bytes(whole.read_bytes()[:900])
    (root / "b" / "not-an-image.jpg").write_bytes(b"hello")
    (root / "b" / "empty.png").touch()
    with pytest.raises(DataError) as caught:
        folder(root).info(folders)
    text = str(caught.value)
    assert text.startswith(f"3 files of {root} cannot be used")
    assert all(name in text for name in ("cut.jpg: OSError", "truncated", "not-an-image.jpg: not an image", "empty.png"))
    assert not list((folders.cache / "images").glob("*.npy"))


def test_a_long_list_of_broken_images_is_cut(root: Path, folders: Folders) -> None:
    two_classes(root)
    for index in range(14):
        (root / "a" / f"bad{index:02}.png").write_bytes(b"x")
    with pytest.raises(DataError, match="14 files") as caught:
        folder(root).info(folders)
    assert "bad09" in str(caught.value)
    assert "bad10" not in str(caught.value)
    assert "… and 4 more" in str(caught.value)


def test_32_bit_images_are_refused(root: Path, folders: Folders) -> None:
    with pytest.raises(DataError, match="32 bits"):
        only_pixels(root, folders, Image.fromarray(np.ones((8, 8), np.float32)), ending="tif")


@pytest.mark.parametrize("what", ["file", "class"])
def test_links_out_of_the_root_are_refused(root: Path, folders: Folders, tmp_path: Path, what: str) -> None:
    two_classes(root)
    secret = save(picture(1, mode="L"), tmp_path / "outside" / "secret.png")
    link, target = (root / "a" / "link.png", secret) if what == "file" else (root / "c", secret.parent)
    link.symlink_to(target)
    with pytest.raises(DataError, match="outside"):
        folder(root).info(folders)


def test_links_within_the_root_are_followed(root: Path, folders: Folders) -> None:
    two_classes(root)
    (root / "a" / "again.png").symlink_to(root / "a" / "0.png")
    assert folder(root).info(folders).train_counts == (3, 2)


@pytest.mark.parametrize("path", ["../images", "a/../../b"])
def test_a_relative_path_may_not_leave_its_folder(path: str) -> None:
    with pytest.raises(InvalidValue, match="leaves its folder"):
        build("datasets", {"image-folder": {"root": path}})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 2}, "from 4 to 1024"),
        ({"size": [8, 5000]}, "from 4 to 1024"),
        ({"parts": ["x", "x"]}, "two different"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        build("datasets", {"image-folder": {"root": "x"} | options})


def test_a_relative_root_is_looked_for_beside_the_suite_then_in_the_data_roots(tmp_path: Path) -> None:
    two_classes(tmp_path / "data" / "mine", per_class=1)
    folders = Folders(data=(tmp_path / "data",), cache=tmp_path / "cache", suite=tmp_path / "suite")
    assert folder(Path("mine")).info(folders).train_counts == (1, 1)
    two_classes(tmp_path / "suite" / "mine", per_class=2)
    assert folder(Path("mine")).info(folders).train_counts == (2, 2)
    with pytest.raises(DataError, match="Looked for:\n  - .*suite/other\n  - .*data/other"):
        folder(Path("other")).info(folders)


def refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(_folder_cache, "decode", refuse)


def test_reopening_decodes_nothing(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root)
    before = folder(root).info(folders)
    refuse_to_decode(monkeypatch)
    assert folder(root).info(folders) == before
    assert len(folder(root).load(folders).labels_N) == 4
    with pytest.raises(AssertionError, match="decoded again"):
        folder(root, size=16).info(folders)


def test_a_changed_file_is_decoded_again(root: Path, folders: Folders) -> None:
    two_classes(root)
    before = folder(root).info(folders)
    path = root / "b" / "1.png"
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))  # touched, the same content
    assert folder(root).info(folders).fingerprint == before.fingerprint
    save(picture((9, 9, 9)), path)
    assert folder(root).info(folders).fingerprint != before.fingerprint
    assert folder(root).load(folders).images_NCHW[3, 0, 0, 0] == 9
    assert len(list((folders.cache / "images").glob("*.npy"))) == 1


def test_a_fingerprint_depends_on_content_not_on_place(root: Path, folders: Folders, tmp_path: Path) -> None:
    two_classes(root)
    two_classes(tmp_path / "elsewhere")
    fingerprint = folder(root).info(folders).fingerprint
    assert folder(tmp_path / "elsewhere").info(folders).fingerprint == fingerprint
    (root / "b").rename(root / "c")
    assert folder(root).info(folders).fingerprint != fingerprint


@pytest.mark.parametrize("damage", ["array cut", "array gone", "json", "json of another kind"])
def test_a_damaged_cache_is_made_again(root: Path, folders: Folders, damage: str) -> None:
    two_classes(root)
    before = folder(root).info(folders)
    (array,), (meta,) = ((folders.cache / "images").glob(f"*.{ending}") for ending in ("npy", "json"))
    if damage == "array cut":
        array.write_bytes(array.read_bytes()[:-1])
    elif damage == "array gone":
        array.unlink()
    else:
        meta.write_text('{"signature": ' if damage == "json" else "[]")
    assert folder(root).info(folders) == before
    assert folder(root).load(folders).images_NCHW[3, 0, 0, 0] == 100


def test_two_at_once_decode_once(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root)
    calls = []

    def slow(*given: Any) -> None:
        calls.append(given)
        time.sleep(0.1)
        _decode.decode(*given)

    monkeypatch.setattr(_folder_cache, "decode", slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: folder(root).info(folders), range(2))
    assert first == second
    assert len(calls) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from benchmark.datasets import _cache, _decode
from benchmark.records import Folders
from benchmark.registry import build
work, at = Path(sys.argv[1]), sys.argv[2]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if at == "decode": _decode.in_parallel = die
if at == "rename": _cache.commit = die
if at == "meta": _cache.write = die
build("datasets", {"image-folder": {"root": str(work / "images"), "size": 8}}).info(Folders((work,), work / "cache"))
"""


@pytest.mark.parametrize("at", ["decode", "rename", "meta"])
def test_a_decode_cut_short_is_not_believed(root: Path, folders: Folders, tmp_path: Path, at: str) -> None:
    two_classes(root)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), at], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((folders.cache / "images").iterdir())) > 1  # it did leave something
    images = folder(root).load(folders)
    assert images.images_NCHW[:, :, 0, 0].tolist() == [[0, 0, 7], [0, 10, 7], [100, 0, 7], [100, 10, 7]]
    assert sorted(file.suffix for file in (folders.cache / "images").iterdir()) == [".json", ".lock", ".npy"]


def test_many_files_are_decoded_by_processes_to_the_same_pixels(root: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    two_classes(root, per_class=20)
    by_threads = folder(root).info(folders)
    monkeypatch.setattr("benchmark.datasets._decode._FEW", 0)
    assert folder(root).info(Folders(folders.data, folders.cache / "other")) == by_threads


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_as_jpeg_files_is_decoded_once(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (real_data / "cifar10-jpeg").is_dir():
        pytest.skip("no cifar10-jpeg in SKEWBENCH_DATA")
    folders = Folders((real_data,), tmp_path)
    info = folder(Path("cifar10-jpeg"), size=32).info(folders)
    assert (info.train_counts, info.test_counts, info.shape) == ((5000,) * 10, (1000,) * 10, (3, 32, 32))
    assert info.class_names[:3] == ("airplane", "automobile", "bird")
    dataset = folder(Path("cifar10-jpeg"), size=32)
    refuse_to_decode(monkeypatch)
    assert dataset.info(folders) == info
    images: Images = dataset.load(folders)
    with Image.open(real_data / "cifar10-jpeg" / "train" / "bird" / "0007.jpg") as image:
        assert (images.images_NCHW[10_007] == np.asarray(image).transpose(2, 0, 1)).all()
