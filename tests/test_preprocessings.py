"""Preprocessings against NumPy, and the images that are fed to networks: fitted to training images alone, once, kept and checked."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from test_run import contents

from benchmark import registry, typed
from benchmark.datasets import Dataset, _cache
from benchmark.datasets._fingerprint import describe
from benchmark.draw import draw, training_rows
from benchmark.errors import DataError, InvalidValue
from benchmark.execute.inputs import Inputs
from benchmark.execute.mapped import mapped
from benchmark.places import default_folders
from benchmark.preprocessings.gcn_zca import GcnZca
from benchmark.records import DatasetInfo, Folders, Images
from benchmark.registry import KINDS, plugin

ZCA = {"gcn-zca": {}}


def correlated(number: int, shape: tuple[int, ...] = (3, 6, 6), seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images whose neighbouring pixels are alike, so that the covariance has small and large eigenvalues; one without contrast."""
    noise = np.random.default_rng(seed).normal(size=(number, *shape))
    smooth = sum(np.roll(noise, shift, axis=axis) for axis in (2, 3) for shift in range(3))
    pixels = np.clip(128 + 25 * smooth, 0, 255).astype(np.uint8)
    pixels[-1] = 9
    return pixels


def numpy_gcn(pixels: np.ndarray[Any, Any], scale: float = 55.0, epsilon: float = 1e-8) -> np.ndarray[Any, Any]:
    rows = pixels.reshape(len(pixels), -1).astype(np.float64)
    rows = rows - rows.mean(axis=1)[:, None]
    return rows / np.maximum(np.sqrt((rows**2).sum(axis=1)), epsilon)[:, None] * scale


def numpy_zca(fitted: np.ndarray[Any, Any], pixels: np.ndarray[Any, Any], regularisation: float = 0.1) -> np.ndarray[Any, Any]:
    """By the singular values of the centred images, not by a covariance."""
    training = numpy_gcn(fitted)
    mean = training.mean(axis=0)
    _, singular, rows = np.linalg.svd(training - mean, full_matrices=True)
    eigenvalues = np.zeros(len(rows))
    eigenvalues[: len(singular)] = singular**2 / len(training)
    whitening = rows.T @ np.diag(1 / np.sqrt(eigenvalues + regularisation)) @ rows
    return ((numpy_gcn(pixels) - mean) @ whitening).reshape(pixels.shape)


def learnt(spec: Any, pixels: np.ndarray[Any, Any], block: int = 70) -> Any:
    return registry.build("preprocessings", spec).learn(lambda: iter(torch.from_numpy(pixels).split(block)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [400, 60], ids=["full rank", "fewer images than values"])
@pytest.mark.parametrize("regularisation", [0.1, 10.0])
def test_gcn_and_zca_are_those_of_numpy(number: int, regularisation: float) -> None:
    fitted, others = correlated(number), correlated(30, seed=1)
    transform = learnt({"gcn-zca": {"regularisation": regularisation}}, fitted)
    for pixels in (fitted, others):
        expected = numpy_zca(fitted, pixels, regularisation)
        assert transform(torch.from_numpy(pixels)).numpy() == pytest.approx(expected, abs=2e-4)


def test_what_comes_out_is_as_white_as_the_constant_lets_it_be() -> None:
    """Its covariance has the eigenvectors of before and the eigenvalues s / (s + 0.1)."""
    pixels = correlated(500)
    before = np.cov(numpy_gcn(pixels), rowvar=False, bias=True)
    values, vectors = np.linalg.eigh(before)
    out = learnt(ZCA, pixels)(torch.from_numpy(pixels)).flatten(1).double().numpy()
    assert values.min() < 0.1 < 1 < values.max(), "else the constant is not put to the test"
    assert np.cov(out, rowvar=False, bias=True) == pytest.approx(vectors @ np.diag(values / (values + 0.1)) @ vectors.T, abs=1e-4)
    assert out.mean(axis=0) == pytest.approx(np.zeros(out.shape[1]), abs=1e-5)


def test_contrast_is_what_the_study_has() -> None:
    """Digest of Buda et al. 2018, section 3: images of 32 x 32 x 3 end with a pixel standard deviation of 0.992."""
    normalised = GcnZca()._normalised(torch.from_numpy(correlated(20, (3, 32, 32))[:-1])).numpy()
    assert normalised.mean(axis=1) == pytest.approx(np.zeros(19), abs=1e-5)
    assert normalised.std(axis=1) == pytest.approx(np.full(19, 0.992), abs=5e-4)
    assert not GcnZca()._normalised(torch.full((1, 3, 4, 4), 200, dtype=torch.uint8)).any()


def test_standardised_channels_are_those_of_numpy() -> None:
    pixels = correlated(100)
    pixels[:, 2] = 40  # a channel that never changes
    out = learnt("standardise", pixels)(torch.from_numpy(pixels)).numpy()
    values = pixels.astype(np.float64)
    expected = (values - values.mean(axis=(0, 2, 3), keepdims=True)) / np.maximum(values.std(axis=(0, 2, 3), keepdims=True), 1e-9)
    assert out[:, :2] == pytest.approx(expected[:, :2], abs=1e-5)
    assert not out[:, 2].any()


# -- the images that are fed to networks


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """A data set whose pixels a test may change: `toy.pixels`, 60 images to train and 30 to test, three classes."""
    known = {kind: {name: registry.get(kind, name) for name in registry.names(kind)} for kind in KINDS}
    monkeypatch.setattr(registry, "_known", known)
    monkeypatch.setattr(registry, "_load", known.__getitem__)

    @plugin("toy")
    class Toy(Dataset):
        """Whatever the test wants."""

        pixels = correlated(90, (1, 5, 5))

        def info(self, folders: Folders) -> DatasetInfo:
            return describe(self.load(folders))

        def load(self, folders: Folders) -> Images:
            return Images(self.pixels, np.arange(90) % 3, 60, ("a", "b", "c"))

    yield Toy
    typed.types_of.cache_clear()


def config(*, fit: str = "train", seed: int = 0, imbalance: Any = "none", **options: Any) -> dict[str, Any]:
    recipe = {"preprocess": {"gcn-zca": {"fit": fit}}}
    return {"dataset": {"toy": options}, "imbalance": imbalance, "seed": seed, "recipe": recipe}


def fed(cache: Path, asked: dict[str, Any]) -> np.ndarray[Any, Any]:
    """By a process that has nothing in memory."""
    return Inputs("cpu", Folders((), cache)).of(asked).numpy()


STEP = {"step": {"ratio": 4, "minority": 0.34}}


@pytest.mark.parametrize("options", [{}, {"train_fraction": 0.5}, {"fit": "cell", "imbalance": STEP}], ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_test_image_is_learnt_from(toy: Any, tmp_path: Path, options: dict[str, Any], seed: int) -> None:
    """Other test images: the same training images to the bit. Another training image: others."""
    asked = config(seed=seed, **options)
    source = Inputs("cpu", Folders((), tmp_path)).source(asked["dataset"])
    cell = draw(source.dataset, source.info, source.images, registry.build("imbalances", asked["imbalance"]), seed)
    fitted = cell.train if options.get("fit") == "cell" else training_rows(source.dataset, source.info, source.images, seed)
    assert not set(cell.test) & set(fitted)
    assert set(cell.train) <= set(fitted)
    before = fed(tmp_path, asked)
    assert before[fitted] == pytest.approx(numpy_zca(toy.pixels[fitted], toy.pixels[fitted]), abs=2e-4)
    for rows, same in ((cell.test, True), (fitted[:1], False)):
        toy.pixels = toy.pixels.copy()
        toy.pixels[rows] = 255 - toy.pixels[rows] // 2
        assert np.array_equal(fed(tmp_path, asked)[fitted[1:]], before[fitted[1:]]) == same


def test_cells_share_one_file_and_those_with_other_training_parts_have_their_own(toy: Any, tmp_path: Path) -> None:
    for seed, imbalance in ((0, "none"), (1, STEP)):
        fed(tmp_path, config(seed=seed, imbalance=imbalance, cap=10))
    assert len(list((tmp_path / "preprocessed").glob("*.npy"))) == 1
    fed(tmp_path, config(fit="cell", imbalance=STEP))  # in memory only
    for seed in (0, 1, 0):
        fed(tmp_path, config(seed=seed, train_fraction=0.5))
    assert len(list((tmp_path / "preprocessed").glob("*.npy"))) == 3


def test_one_process_keeps_what_it_has_while_it_serves(toy: Any, tmp_path: Path) -> None:
    inputs = Inputs("cpu", Folders((), tmp_path))
    first = inputs.of(config(seed=0))
    assert inputs.of(config(seed=1, imbalance=STEP)) is first, "the same file"
    assert inputs.of(config(seed=0, train_fraction=0.5)) is not first
    plain = {**config(), "recipe": {"preprocess": None}}
    assert inputs.of(plain).dtype == torch.uint8
    assert torch.equal(inputs.of(config()), first)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
        lambda data: data[:40] + b"x" + data[41:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:-100],
        lambda data: data + b"more",
        lambda data: b"",
    ],
    ids=["a value", "the header", "the checksum", "cut short", "too long", "empty"],
)
def test_a_damaged_file_is_told_and_computed_again(toy: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any) -> None:
    before = fed(tmp_path, config()).copy()
    (file,) = (tmp_path / "preprocessed").glob("*.npy")
    whole = file.read_bytes()
    assert np.array_equal(np.load(file), before), "an ordinary .npy for whoever wants to look"
    file.write_bytes(damage(whole))
    assert np.array_equal(fed(tmp_path, config()), before)
    assert "damaged" in caplog.text
    assert file.read_bytes() == whole


def test_what_a_worker_writes_into_its_images_stays_its_own(toy: Any, tmp_path: Path) -> None:
    mine = Inputs("cpu", Folders((), tmp_path)).of(config())
    before = mine.clone()
    mine += 1
    assert np.array_equal(fed(tmp_path, config()), before.numpy())


def test_threads_that_need_it_at_once_make_it_once(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    learn = GcnZca.learn
    monkeypatch.setattr(GcnZca, "learn", lambda self, blocks: calls.append(1) or learn(self, blocks))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda seed: fed(tmp_path, config(seed=seed)), range(4)))
    assert len(calls) == 1
    assert all(np.array_equal(each, found[0]) for each in found)


RACER = """
import sys, time
from pathlib import Path
import numpy as np
from benchmark.execute.mapped import mapped

def make():
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    time.sleep(0.5)
    yield np.full((3, 2), 7, dtype=np.float32)

sys.stdin.read(1)
assert (mapped(Path(sys.argv[1]), (3, 2), make) == 7).all()
"""


def test_processes_that_need_it_at_once_make_it_once(tmp_path: Path) -> None:
    target, log = tmp_path / "cache" / "x.npy", tmp_path / "log"
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", RACER, str(target), str(log)]
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, env=path)) for _ in range(3)]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write(b"!")
            racer.stdin.close()
        assert [racer.wait() for racer in racers] == [0, 0, 0]
    assert log.read_text() == "made\n"
    assert sorted(file.name for file in target.parent.iterdir()) == ["x.lock", "x.npy"]


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "no room for preprocessed images"), (errno.EROFS, "cannot be kept as")])
def test_a_disk_that_takes_no_more_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(_cache, "commit", refuse)
    with pytest.raises(DataError, match=rf"{words}.* XDG_CACHE_HOME"):
        mapped(tmp_path / "x.npy", (1,), lambda: [np.zeros(1, np.float32)])
    assert [file.name for file in tmp_path.iterdir()] == ["x.lock"], "nothing half-written is left"


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".x.npy.abc.tmp").write_bytes(b"half")
    mapped(tmp_path / "x.npy", (1,), lambda: [np.zeros(1, np.float32)])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.lock", "x.npy"]


# -- cells


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that switches to another cache folder."""
    return lambda name: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


METHODS = ["none", "ros", {"two-phase": {"base": "ros"}}, {"thresholding": {}}]


def test_cells_of_one_split_fit_once_and_resume_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: Any) -> None:
    calls: list[int] = []
    learn = GcnZca.learn
    monkeypatch.setattr(GcnZca, "learn", lambda self, blocks: calls.append(1) or learn(self, blocks))
    caches("one")
    done = small.run(tmp_path / "one", small.cells(METHODS, preprocess=ZCA))
    assert [cell.status for cell in done.cells] == ["ok"] * 4
    assert len(calls) == 1
    small.run(tmp_path / "parts", small.cells(METHODS[:1], preprocess=ZCA))  # in two goes, with nothing left in memory between them
    small.run(tmp_path / "parts", small.cells(METHODS, preprocess=ZCA))
    assert len(calls) == 1
    caches("two")
    small.run(tmp_path / "afresh", small.cells(METHODS, preprocess=ZCA))
    assert len(calls) == 2
    final = [
        {k: v for k, v in contents(tmp_path / name).items() if v[0] not in ("train", "features")} for name in ("one", "parts", "afresh")
    ]
    assert final[0] == final[1] == final[2]


@pytest.mark.parametrize("fit", ["train", "cell"])
def test_training_prediction_and_features_see_the_same_images(tmp_path: Path, fit: str) -> None:
    """The scores are those of the trained network on images that NumPy has whitened; untreated images give others."""
    method = {"two-phase": {"base": "none", "lr_factor": 1e-9}}
    some = small.cells(["none", method], iterations=30, preprocess={"gcn-zca": {"fit": fit}})
    small.run(tmp_path, some, keep_weights=True)
    planned, ledger = small.plan(tmp_path, some)
    with ledger:
        (train, predict), two = (cell.work.last.chain for cell in planned.cells)
        weights, scores, tuned = (ledger.arrays(ledger.stage(stage.key)) for stage in (train, predict, two[-1]))
    cell = some[0].config
    folders = default_folders(None)
    images, info = cell.dataset.load(folders), cell.dataset.info(folders)
    split = draw(cell.dataset, info, images, cell.imbalance, 0)
    fitted = split.train if fit == "cell" else training_rows(cell.dataset, info, images, 0)
    assert len(split.train) < len(training_rows(cell.dataset, info, images, 0))
    network = cell.model.build(info.shape, 10)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    pixels = images.images_NCHW[split.test]
    with torch.no_grad():
        white = numpy_zca(images.images_NCHW[fitted], pixels).astype(np.float32)
        expected, untreated = (
            network.eval()(torch.from_numpy(each)).log_softmax(dim=1).numpy() for each in (white, pixels / np.float32(255))
        )
    assert scores["test.scores"] == pytest.approx(expected, abs=1e-3)
    assert tuned["test.scores"] == pytest.approx(expected, abs=1e-3)
    assert np.abs(untreated - expected).max() > 0.1


def test_a_preprocessing_is_part_of_identity_and_its_absence_is_not(tmp_path: Path) -> None:
    plain, spelled, white, softer = (
        small.plan(tmp_path, small.cells(["none"], **options))[0].cells[0].work
        for options in ({}, {"preprocess": None, "monitor": 0}, {"preprocess": ZCA}, {"preprocess": {"gcn-zca": {"regularisation": 1}}})
    )
    assert plain.key == spelled.key
    assert not {"preprocess", "monitor"} & plain.resolved["recipe"].keys(), "what was computed before there was one stays valid"
    assert "preprocess" not in plain.last.chain[0].science["recipe"]
    assert len({work.config_key for work in (plain, white, softer)}) == len({work.last.key for work in (plain, white, softer)}) == 3
    assert "preprocessings:gcn-zca" in white.last.all_code
    changed = replace(white.last.chain[0], code={**white.last.chain[0].code, "preprocessings:gcn-zca": "0" * 32})
    assert replace(white.last, parent=changed).key != white.last.key


def test_images_that_are_too_large_to_whiten_are_refused_while_planning(tmp_path: Path) -> None:
    some = small.cells(["none"], preprocess=ZCA)
    large = replace(some[0], config=replace(some[0].config, dataset=registry.build("datasets", {"digits": {"size": 128}})))
    with pytest.raises(InvalidValue, match="at most 12,288 values .* found 1 x 128 x 128"):
        small.plan(tmp_path, [large])
