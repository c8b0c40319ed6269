"""The public data sets: idx files, CIFAR-10's two versions, where they are looked for, what is cached, and downloads."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from benchmark.datasets import Dataset
from benchmark.datasets._fingerprint import content_fingerprint
from benchmark.datasets._idx import read_idx
from benchmark.errors import DataError, UserError
from benchmark.fetch import fetch
from benchmark.places import SYSTEM_DATA, default_folders
from benchmark.records import Folders, Images
from benchmark.registry import build

MNIST_TRAIN = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
MNIST_TEST = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(data=(tmp_path / "data",), cache=tmp_path / "cache")


def dataset(spec: Any) -> Dataset:
    return cast(Dataset, build("datasets", spec))


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, *, packed: bool, seed: int = 0) -> None:
    """Four small idx files with 12 training and 5 test images."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for part, number in (("train", 12), ("t10k", 5)):
        contents = {"images-idx3": random.integers(0, 256, (number, 28, 28)), "labels-idx1": np.arange(number) % 10}
        for name, array in contents.items():
            data = idx(array.astype(np.uint8))
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)


def test_digits_are_scikit_learns_enlarged(folders: Folders) -> None:
    info, images = dataset("digits").info(folders), dataset("digits").load(folders)
    reference = load_digits()
    assert (info.shape, sum(info.train_counts), info.test_counts) == ((1, 28, 28), 1797, (0,) * 10)
    assert images.num_train == 1797
    assert (images.labels_N == reference.target).all()
    smooth = np.asarray(Image.fromarray(reference.images[5].astype(np.float32)).resize((28, 28), Image.Resampling.BILINEAR))
    assert abs(images.images_NCHW[5, 0] / 255 - smooth / 16).max() < 0.01
    assert images.images_NCHW.max() == 255


def test_digits_can_be_used_as_they_are() -> None:
    assert dataset("digits").train_fraction == 0.7
    assert dataset({"digits": {"train_fraction": 0.5}}).train_fraction == 0.5


def test_digits_of_another_size_are_other_data(folders: Folders) -> None:
    assert dataset({"digits": {"size": 8}}).load(folders).images_NCHW.shape == (1797, 1, 8, 8)
    assert dataset({"digits": {"size": 8}}).info(folders).fingerprint != dataset("digits").info(folders).fingerprint


@pytest.mark.parametrize("place", ["MNIST/raw", "mnist"])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_in_each_layout(folders: Folders, place: str, packed: bool) -> None:
    write_mnist(folders.data[0] / place, packed=packed)
    info, images = dataset("mnist").info(folders), dataset("mnist").load(folders)
    assert (images.images_NCHW.shape, images.num_train) == ((17, 1, 28, 28), 12)
    assert images.images_NCHW.dtype == np.uint8
    assert images.labels_N.tolist() == [*(n % 10 for n in range(12)), *range(5)]
    assert info.train_counts == (2, 2, *(1,) * 8)
    assert info.test_counts == (*(1,) * 5, *(0,) * 5)
    assert info.fingerprint == content_fingerprint(images)


def test_raw_and_packed_files_have_one_fingerprint(folders: Folders, tmp_path: Path) -> None:
    write_mnist(tmp_path / "a" / "mnist", packed=True)
    write_mnist(tmp_path / "b" / "MNIST" / "raw", packed=False)
    first, second = (dataset("mnist").info(Folders((tmp_path / root,), tmp_path / "cache")) for root in "ab")
    assert first == second


def test_torchvision_reads_the_same_images(folders: Folders) -> None:
    write_mnist(folders.data[0] / "FashionMNIST" / "raw", packed=False)
    reference = torchvision.datasets.FashionMNIST(folders.data[0], train=True)
    images = dataset("fashion-mnist").load(folders)
    assert (images.images_NCHW[:12, 0] == reference.data.numpy()).all()
    assert images.class_names == tuple(reference.classes)


def test_data_roots_are_searched_in_order(tmp_path: Path) -> None:
    for seed, root in enumerate(("first", "second")):
        write_mnist(tmp_path / root / "mnist", packed=True, seed=seed)
    (tmp_path / "first" / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    both = Folders((tmp_path / "first", tmp_path / "second"), tmp_path / "cache")
    alone = Folders((tmp_path / "second",), tmp_path / "cache")
    assert dataset("mnist").info(both) == dataset("mnist").info(alone)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_absent_data_says_where_it_looked_and_how_to_get_it(folders: Folders, name: str) -> None:
    with pytest.raises(DataError) as caught:
        dataset(name).info(folders)
    text = str(caught.value)
    assert text.count(f"\n  - {folders.data[0]}") == 2
    assert f"`skewbench fetch {name}`" in text
    assert "SKEWBENCH_DATA" in text


def test_a_part_of_the_files_is_said_to_be_a_part(folders: Folders) -> None:
    write_mnist(folders.data[0] / "mnist", packed=True)
    (folders.data[0] / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"mnist \(found 3 of 4 files, no t10k-labels-idx1-ubyte\)"):
        dataset("mnist").info(folders)


IMAGES = idx(np.zeros((3, 2, 2), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES[:-1], "holds 11 bytes of data: expected 12"),
        (IMAGES + b"x", "holds more than 12 bytes of data: expected 12"),
        (IMAGES[:9], "ends inside its header, after 9 bytes: expected 16"),
        (b"", r"begins with the bytes \(none\): expected 00 00 08 03"),
        (b"\x00\x00\x0d\x03" + IMAGES[4:], "begins with the bytes 00 00 0d 03"),
        (idx(np.zeros(3, np.uint8)), "begins with the bytes 00 00 08 01: expected 00 00 08 03"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "expected at most"),
    ],
    ids=["cut", "too long", "cut header", "empty", "floats", "labels", "absurd shape"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_idx_files(tmp_path: Path, data: bytes, message: str, packed: bool) -> None:
    path = tmp_path / ("images.gz" if packed else "images")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, dimensions=3)
    assert str(caught.value).startswith(str(path))


PACKED = gzip.compress(IMAGES, mtime=0)


@pytest.mark.parametrize("data", [PACKED[:-12], b"not gzip", PACKED[:10] + b"\xff" * 20], ids=["cut", "not gzip", "garbled"])
def test_damaged_gzip_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(data)
    with pytest.raises(DataError, match="images.gz cannot be read: .*fetch it again"):
        read_idx(path, dimensions=3)


@pytest.mark.parametrize(
    ("labels", "message"), [(np.arange(4), "12 images and .* 4 labels"), (np.full(12, 10), "label 10: expected 0 to 9")]
)
def test_labels_that_do_not_fit(folders: Folders, labels: NDArray[np.int64], message: str) -> None:
    place = folders.data[0] / "mnist"
    write_mnist(place, packed=False)
    (place / "train-labels-idx1-ubyte").write_bytes(idx(labels.astype(np.uint8)))
    with pytest.raises(DataError, match=message):
        dataset("mnist").load(folders)


def test_info_is_read_from_the_cache_until_a_file_changes(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folders.data[0] / "mnist"
    write_mnist(place, packed=True)
    before = dataset("mnist").info(folders)
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.datasets._mnist.read_idx", lambda *_, **__: pytest.fail("read again"))
        assert dataset("mnist").info(folders) == before
    write_mnist(place, packed=True, seed=1)
    assert dataset("mnist").info(folders).fingerprint != before.fingerprint


@pytest.mark.parametrize("content", ["", "{", '{"signature": "x"}', "null", '{"signature": 1, "info": []}'])
def test_a_damaged_info_cache_is_rebuilt(folders: Folders, content: str) -> None:
    write_mnist(folders.data[0] / "mnist", packed=True)
    before = dataset("mnist").info(folders)
    (cached,) = (folders.cache / "info").iterdir()
    whole = cached.read_text()
    cached.write_text(content)
    assert dataset("mnist").info(folders) == before
    assert cached.read_text() == whole


def test_a_cache_that_cannot_be_written_is_a_data_error(folders: Folders) -> None:
    write_mnist(folders.data[0] / "mnist", packed=True)
    folders.cache.write_text("a file where a folder should be")
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        dataset("mnist").info(folders)


def test_a_fingerprint_sees_every_part_of_the_content() -> None:
    images = np.arange(32, dtype=np.uint8).reshape(4, 1, 2, 4)
    labels = np.array([0, 1, 0, 1])
    variants = [
        Images(images, labels, 2, ("a", "b")),
        Images(images, labels, 3, ("a", "b")),
        Images(images, labels, 2, ("a", "c")),
        Images(images, labels[::-1], 2, ("a", "b")),
        Images(images.reshape(4, 1, 4, 2), labels, 2, ("a", "b")),
        Images(images[::-1], labels, 2, ("a", "b")),
    ]
    assert len({content_fingerprint(variant) for variant in variants}) == 6
    assert content_fingerprint(variants[0]) == content_fingerprint(Images(np.asfortranarray(images), labels, 2, ("a", "b")))


def cifar_rows(batch: int) -> NDArray[np.uint8]:
    """Four rows of the binary version: label and planes."""
    rows = np.random.default_rng(batch).integers(0, 256, (4, 3073)).astype(np.uint8)
    rows[:, 0] = np.arange(4) + batch
    return rows


BATCHES = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]


def write_cifar_binary(root: Path) -> None:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for batch, name in enumerate(BATCHES):
        (folder / f"{name}.bin").write_bytes(cifar_rows(batch).tobytes())


def write_cifar_python(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images pickled, with torchvision told their MD5 sums in place of the published ones."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    contents: dict[str, Any] = {"batches.meta": {"label_names": [str(n) for n in range(10)]}}
    contents |= {name: {"data": cifar_rows(n)[:, 1:], "labels": cifar_rows(n)[:, 0].tolist()} for n, name in enumerate(BATCHES)}
    sums = {}
    for name, content in contents.items():
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        sums[name] = hashlib.md5(data).hexdigest()
    reference = torchvision.datasets.CIFAR10
    monkeypatch.setattr(reference, "train_list", [[name, sums[name]] for name in BATCHES[:5]])
    monkeypatch.setattr(reference, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(reference, "meta", reference.meta | {"md5": sums["batches.meta"]})


def test_both_versions_of_cifar10_are_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar_binary(tmp_path / "a")
    write_cifar_python(tmp_path / "b", monkeypatch)
    first, second = (Folders((tmp_path / root,), tmp_path / "cache") for root in "ab")
    assert dataset("cifar10").info(first) == dataset("cifar10").info(second)
    images = dataset("cifar10").load(second)
    assert (images.images_NCHW.shape, images.num_train, images.class_names[3]) == ((24, 3, 32, 32), 20, "cat")
    assert (images.images_NCHW[4] == cifar_rows(1)[0, 1:].reshape(3, 32, 32)).all()
    assert images.labels_N[4:8].tolist() == [1, 2, 3, 4]


def test_a_pickle_with_a_wrong_checksum_is_not_opened(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar_python(folders.data[0], monkeypatch)
    trap = b'cbuiltins\neval\n(S\'open("%s", "w")\'\ntR.' % bytes(folders.data[0] / "sprung")
    (folders.data[0] / "cifar-10-batches-py" / "data_batch_3").write_bytes(trap)
    with pytest.raises(DataError, match="MD5"):
        dataset("cifar10").load(folders)
    assert not (folders.data[0] / "sprung").exists()


@pytest.mark.parametrize(("change", "message"), [(b"x", "expected a multiple of 3073"), (b"\x0a" * 3073, "label 10: expected 0 to 9")])
def test_damaged_binary_cifar10(folders: Folders, change: bytes, message: str) -> None:
    write_cifar_binary(folders.data[0])
    with (folders.data[0] / "cifar-10-batches-bin" / "test_batch.bin").open("ab") as file:
        file.write(change)
    with pytest.raises(DataError, match=message):
        dataset("cifar10").load(folders)


def test_default_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SKEWBENCH_DATA", f"/one:{tmp_path}/two:")
    (tmp_path / "suite.yaml").touch()
    found = default_folders(tmp_path / "suite.yaml")
    assert found.cache == tmp_path / "skewbench"
    assert found.data == (Path("/one"), tmp_path / "two", tmp_path / "skewbench" / "data", SYSTEM_DATA)
    assert found.suite == tmp_path == default_folders(tmp_path).suite
    monkeypatch.delenv("SKEWBENCH_DATA")
    assert default_folders().data == (tmp_path / "skewbench" / "data", SYSTEM_DATA)


def served(url: str, *, download_root: str, filename: str, md5: str) -> None:
    """In place of the network: writes the small files, whichever is asked for first."""
    write_mnist(Path(download_root), packed=False)


def refused(*_: object, **__: object) -> None:
    raise URLError("no route to host")


def test_fetch_downloads_into_the_first_root_once(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", served)
    assert fetch("mnist", folders) == folders.data[0] / "MNIST"
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refused)
    assert fetch("mnist", folders) == folders.data[0] / "MNIST"
    assert dataset("mnist").info(folders).train_counts[0] == 2
    assert [entry.name for entry in folders.data[0].iterdir()] == ["MNIST"]
    assert capsys.readouterr().out == ""


def test_a_refused_download_leaves_nothing(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refused)
    with pytest.raises(DataError, match="(?s)MNIST could not be downloaded: .*no route to host.*SKEWBENCH_DATA"):
        fetch("fashion-mnist", folders)
    assert not list(folders.data[0].iterdir())


def test_fetch_does_not_touch_what_is_there_but_damaged(folders: Folders) -> None:
    write_mnist(folders.data[0] / "MNIST" / "raw", packed=False)
    (folders.data[0] / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(IMAGES[:-1])
    with pytest.raises(DataError, match="is not whole: .*train-images.*\nMove that folder away"):
        fetch("mnist", folders)


def test_fetch_knows_what_it_can_fetch(folders: Folders) -> None:
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        fetch("cifar-10", folders)


@pytest.mark.data
@pytest.mark.parametrize(("name", "train", "test"), [("mnist", MNIST_TRAIN, MNIST_TEST), ("fashion-mnist", (6000,) * 10, (1000,) * 10)])
def test_published_counts(real_data: Path, tmp_path: Path, name: str, train: tuple[int, ...], test: tuple[int, ...]) -> None:
    folders = Folders((real_data,), tmp_path)
    info = dataset(name).info(folders)
    assert (info.shape, info.train_counts, info.test_counts) == ((1, 28, 28), train, test)
    assert dataset(name).load(folders).num_train == 60_000
