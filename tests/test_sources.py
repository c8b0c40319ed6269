"""Streamed images: the same bits whoever decodes them, no more of them at a time than needed, and no process left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import small
import torch
from PIL import Image
from test_run import contents
from test_workers import is_gone
from torch import nn

from benchmark import registry
from benchmark.datasets._crop import CropDecoder
from benchmark.draw import draw
from benchmark.errors import DataError, InvalidValue
from benchmark.execute.batches import stream
from benchmark.execute.context import choose_machine
from benchmark.execute.loop import NotFinite, TrainingSet, head_inputs, log_probabilities, train
from benchmark.execute.pool import Pool
from benchmark.execute.profiling import rates
from benchmark.execute.sources import AHEAD, DecoderDied, Streamed, default_workers
from benchmark.execute.stages import Executor
from benchmark.places import default_folders
from benchmark.recipe import Recipe
from benchmark.records import StreamedImages
from benchmark.tasks import Slot

CLASSES = ("bee", "cat", "dog")


def photographs(root: Path, *, train: int = 10, val: int = 5) -> Path:
    """Smooth JPEGs, upright and lying, of three classes that differ in colour."""
    random = np.random.default_rng(0)
    for part, number in (("train", train), ("val", val)):
        for label, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for index in range(number):
                coarse = random.integers(0, 120, (3, 4, 3), dtype=np.uint8)
                coarse[..., label] += 100
                size = (30, 24) if index % 2 else (22, 41)
                Image.fromarray(coarse).resize(size).save(root / part / name / f"{index}.jpg")
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("photos"))


def images(root: Path, *, workers: int = 0, augment: bool = True) -> StreamedImages:
    options = {"root": str(root), "resize": 20, "crop": 16, "augment": augment, "workers": workers}
    return registry.build("datasets", {"image-stream": options}).load(default_folders(None))


def decoded(source: Streamed, order: list[list[int]], augment: int | None) -> list[torch.Tensor]:
    with source.decoded(map(torch.tensor, order), len(order), augment=augment) as batches:
        return [batch.clone() for batch in batches]


def test_batches_are_the_same_bits_whoever_decodes_them(photos):
    order = [[3, 1], [4, 1], [5, 9], [2, 6], [3, 1]]
    before = torch.get_rng_state()
    none, one, two = (decoded(Streamed(images(photos, workers=number), "cpu"), order, 7) for number in (0, 1, 2))
    assert torch.equal(torch.get_rng_state(), before), "decoding has drawn from the stream of the training"
    assert [(batch.dtype, batch.shape) for batch in none] == [(torch.uint8, (2, 3, 16, 16))] * 5
    for others in (one, two):
        assert all(torch.equal(*pair) for pair in zip(none, others, strict=True))
    assert not torch.equal(none[0], none[4]), "the same images at another step are cut otherwise"
    other = decoded(Streamed(images(photos), "cpu"), order, 8)
    assert not torch.equal(none[0], other[0]), "and under another seed"


def test_without_augmentation_and_in_testing_there_is_the_central_crop(photos):
    plain, random = images(photos, augment=False), images(photos)
    central = torch.from_numpy(np.stack([plain.decoder(path) for path in plain.paths[:2]]))
    assert torch.equal(decoded(Streamed(plain, "cpu"), [[0, 1]], 7)[0], central)
    assert torch.equal(decoded(Streamed(random, "cpu"), [[0, 1]], None)[0], central)
    assert not torch.equal(decoded(Streamed(random, "cpu"), [[0, 1]], 7)[0], central)


def test_crops_and_mirrors_cover_their_range_evenly(tmp_path):
    """A picture whose red is x and whose green is y: every corner, both ways round, each about as often."""
    columns, rows = np.meshgrid(np.arange(24), np.arange(20))
    Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)).save(tmp_path / "0.png")
    source = Streamed(
        StreamedImages([str(tmp_path / "0.png")], np.zeros(1, np.int64), 1, ("a",), CropDecoder(20, 16, augment=True), 0), "cpu"
    )
    crops = torch.cat(decoded(source, [[0] * 100] * 45, 3)).int()
    is_mirrored = crops[:, 0, 0, 0] > crops[:, 0, 0, 15]
    left, top = torch.minimum(crops[:, 0, 0, 0], crops[:, 0, 0, 15]), crops[:, 1, 0, 0]
    counts = torch.bincount((left * 5 + top) * 2 + is_mirrored, minlength=90)
    assert len(counts) == 9 * 5 * 2
    chi_square = float(((counts - 50) ** 2 / 50).sum())
    assert 89 - 4.5 * 178**0.5 < chi_square < 89 + 4.5 * 178**0.5  # mean and deviation of chi-square with 89 degrees of freedom
    expected = (crops[0, 0] - crops[0, 0].min()).sum()
    assert all((crop[0] - crop[0].min()).sum() == expected for crop in crops[:200]), "a crop is a square of the picture"


def recipe(**given: Any) -> Recipe:
    return registry.build_fields(Recipe, {"batch": 8, **given}, what="recipe")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Sequential(nn.Flatten(), nn.Linear(768, 12), nn.ReLU(), nn.Dropout(0.3)), nn.Linear(12, 3)

    def forward(self, images):
        return self.head(self.body(images))


def fitted(data: TrainingSet, steps: int = 12, **given: Any) -> tuple[Network, Any]:
    network = Network()
    torch.manual_seed(1)
    trained = train(network, data, recipe(**given), nn.CrossEntropyLoss(), steps=steps, seed=5, progress=lambda *_: None)
    return network, trained


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_training_and_evaluation_are_those_on_resident_images_to_the_bit(photos, workers):
    some = images(photos, workers=workers, augment=False)
    resident = torch.from_numpy(np.stack([some.decoder(path) for path in some.paths]))
    labels, rows = torch.from_numpy(some.labels_N), torch.tensor([1, 1, 4, 12, 17, 25, 29])
    streamed = Streamed(some, "cpu")
    assert streamed.shape == resident.shape
    (one, trained), (other, expected) = fitted(TrainingSet(streamed, labels, rows, augment=9)), fitted(TrainingSet(resident, labels, rows))
    assert torch.equal(trained.losses, expected.losses)
    for ours, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    tested = torch.arange(30, 45)
    assert torch.equal(log_probabilities(one, streamed, tested, batch=4), log_probabilities(one, resident, tested, batch=4))
    assert torch.equal(head_inputs(one, streamed, rows, batch=4), head_inputs(one, resident, rows, batch=4))


def test_waiting_for_images_counts_as_time_for_data(photos):
    @dataclasses.dataclass(frozen=True)
    class Slow(CropDecoder):
        def __call__(self, path, draws=None):
            time.sleep(0.002)
            return super().__call__(path, draws)

    slow = dataclasses.replace(images(photos), decoder=Slow(20, 16, augment=True))
    data = TrainingSet(Streamed(slow, "cpu"), torch.from_numpy(slow.labels_N), torch.arange(30), augment=1)
    begun = time.perf_counter()
    _, trained = fitted(data)
    seconds = time.perf_counter() - begun
    assert 12 * 8 * 0.002 <= trained.profile["data_seconds"] <= seconds
    assert rates({**trained.profile, "seconds": seconds, "batch": 8.0})["loader_bound"] == 1.0


def test_images_are_decoded_when_they_are_needed(photos):
    """Of a thousand batches a few at a time, whether this process decodes them or others."""
    asked: list[int] = []
    for workers in (0, 2):
        asked.clear()
        source = Streamed(images(photos, workers=workers), "cpu")
        order = (asked.append(step) or picked for step, picked in enumerate(stream(30, 4, 1000, 0)))
        with source.decoded(order, 1000, augment=1) as batches:
            for taken in range(1, 6):
                next(batches)
                assert len(asked) <= taken + workers * AHEAD


def decoders() -> list[psutil.Process]:
    """Processes below this one, but for the two that Python keeps to start others and to look after shared memory."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.parent() != psutil.Process() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def test_decoding_processes_end_with_what_they_were_started_for(photos):
    streamed = Streamed(images(photos, workers=2), "cpu")
    data = TrainingSet(streamed, torch.from_numpy(images(photos).labels_N), torch.arange(30), augment=1)
    with data.batches(4, 1000, 0) as batches:
        next(batches)
        assert len(decoders()) == 2
    assert decoders() == []
    with pytest.raises(NotFinite):
        fitted(data, steps=60, optimizer={"sgd": {"lr": 1e30}})
    assert decoders() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_an_error_that_names_it(tmp_path, workers):
    streamed = Streamed(images(photographs(tmp_path, train=2), workers=workers), "cpu")
    (tmp_path / "train" / "cat" / "1.jpg").write_bytes(b"gone bad")
    data = TrainingSet(streamed, torch.zeros(21, dtype=torch.int64), torch.arange(6), augment=1)
    with pytest.raises(DataError, match=rf"^the image {tmp_path}/train/cat/1.jpg cannot be used: not an image"):
        fitted(data)
    assert decoders() == []


def test_the_death_of_a_decoding_process_is_an_error_that_says_what_to_do(photos):
    streamed = Streamed(images(photos, workers=1), "cpu")
    with streamed.decoded(stream(30, 4, 1000, 0), 1000, augment=1) as batches:
        next(batches)
        (process,) = decoders()
        process.send_signal(signal.SIGKILL)
        with pytest.raises(DecoderDied, match="shm-size"):
            list(batches)


def test_a_gpu_gets_its_share_of_the_cores_and_a_cpu_one_process(monkeypatch):
    monkeypatch.setattr("benchmark.execute.sources.usable_cores", lambda: 24)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert default_workers(torch.device("cpu")) == 1
    assert default_workers(torch.device("cuda:1")) == 6


# -- through the engine


METHODS = ("none", "ros", {"thresholding": {"base": "ros"}}, {"two-phase": {"base": "ros"}})


def cells(root: Path, methods: Any = METHODS, *, workers: int = 0, augment: bool = True, **options: Any) -> list[Any]:
    given = {"root": str(root), "resize": 20, "crop": 16, "augment": augment, "workers": workers}
    dataset = registry.build("datasets", {"image-stream": given})
    some = small.cells(methods, imbalance={"step": {"ratio": 2, "minority": 0.5}}, iterations=6, **options)
    return [dataclasses.replace(cell, config=dataclasses.replace(cell.config, dataset=dataset)) for cell in some]


@pytest.fixture(scope="module")
def reference(photos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("reference")
    done = small.run(store, cells(photos))
    assert [cell.status for cell in done.cells] == ["ok"] * 4
    return store


def test_a_suite_on_streamed_images_repeats_to_the_bit_with_any_number_of_decoding_processes(photos, reference, tmp_path):
    small.run(tmp_path, cells(photos, workers=2))
    assert contents(tmp_path) == contents(reference)


@pytest.fixture
def is_random(monkeypatch) -> list[bool]:
    """Of every image that is decoded from now on in this process: whether chance has a say."""
    found: list[bool] = []
    decode = CropDecoder.__call__

    def watched(self: CropDecoder, path: str, draws: Any = None) -> Any:
        found.append(draws is not None)
        return decode(self, path, draws)

    monkeypatch.setattr(CropDecoder, "__call__", watched)
    return found


@pytest.mark.parametrize("augment", [True, False])
def test_trainings_see_random_crops_and_features_those_of_testing(photos, tmp_path, is_random, augment):
    executor = Executor(choose_machine("cpu"), default_folders(None))
    planned, _ = small.plan(tmp_path, cells(photos, [{"two-phase": {"base": "ros"}}], augment=augment))
    training, features, _ = planned.cells[0].work.last.chain
    weights = executor.run(training, {}, lambda *_: None).arrays
    assert is_random == [augment] * 6 * 16
    is_random.clear()
    found = executor.run(features, weights, lambda *_: None).arrays
    assert is_random == [False] * (len(found["train.labels"]) + 15)
    network = registry.build("models", {"small-cnn": {"width": 2}}).build((3, 16, 16), 3)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    config, some = cells(photos, augment=augment)[0].config, images(photos)
    rows = draw(config.dataset, config.dataset.info(executor.folders), some, config.imbalance, 0).train
    central = torch.from_numpy(np.stack([some.decoder(path) for path in some.paths]))
    assert np.array_equal(found["train.features"], head_inputs(network, central, torch.from_numpy(rows)).numpy())
    assert np.array_equal(found["train.labels"], some.labels_N[rows])


def test_phase_two_through_the_frozen_network_sees_random_crops(photos, tmp_path, is_random):
    executor = Executor(choose_machine("cpu"), default_folders(None))
    method, model = {"two-phase": {"base": "none", "frozen_dropout": True}}, {"small-cnn": {"width": 2, "dropout": 0.3}}
    planned, _ = small.plan(tmp_path, cells(photos, [method], model=model))
    training, through = planned.cells[0].work.last.chain
    weights = executor.run(training, {}, lambda *_: None).arrays
    is_random.clear()
    executor.run(through, weights, lambda *_: None)
    assert is_random == [True] * 6 * 16 + [False] * 15


def test_a_broken_image_ends_a_run_as_missing_data_do(tmp_path):
    photographs(tmp_path / "photos", train=4)
    made, ledger = small.plan(tmp_path / "store", cells(tmp_path / "photos", ["none"]))
    path = tmp_path / "photos" / "train" / "cat" / "1.jpg"
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # unseen by the plan
    with ledger, pytest.raises(DataError, match=f"{path} cannot be used"):
        small.Runner(made, ledger, small.METRICS, small.inline(tmp_path / "store"), small.Recorder(), small.How()).run()


def test_watching_a_streamed_training_changes_no_bit_of_it(photos, tmp_path):
    """And it looks at images as in testing, training images too."""
    executor = Executor(choose_machine("cpu"), default_folders(None))
    weights = []
    for monitor in (0, 3):
        planned, _ = small.plan(tmp_path, cells(photos, ["none"], workers=1, monitor=monitor))
        result = executor.run(planned.cells[0].work.last.chain[0], {}, lambda *_: None)
        weights.append(result.arrays)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert [step for step, _ in result.facts["history"]["train.accuracy"]] == [2, 4, 6]


def test_preprocessing_is_refused_while_planning(photos, tmp_path):
    with pytest.raises(InvalidValue, match="'preprocess' works on all images at once"):
        small.plan(tmp_path, cells(photos, ["none"], preprocess="standardise"))


@pytest.mark.slow
def test_a_worker_decodes_the_same_bits_and_takes_its_processes_with_it(photos, reference, tmp_path):
    with contextlib.closing(Pool([Slot("worker 1", "cpu")], tmp_path, default_folders(None))) as pool:
        small.run(tmp_path, cells(photos, workers=1), pool)
        started = psutil.Process().children(recursive=True)
        (leader,) = (process for process in started if "benchmark.execute.worker" in process.cmdline())
        helpers = leader.children(recursive=True)
    assert contents(tmp_path) == contents(reference)
    assert helpers, "those that start its decoding processes"
    assert all(is_gone(process.pid) for process in (leader, *helpers))


HELD = """
import sys, torch
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_sources import Streamed, images, stream
if __name__ == "__main__":
    with Streamed(images(Path(sys.argv[1]), workers=2), "cpu").decoded(stream(30, 4, 10**6, 0), 10**6, augment=1) as batches:
        next(batches)
        print("ready", flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
def test_decoding_processes_end_by_themselves_when_the_one_they_serve_is_killed(photos, tmp_path):
    script = tmp_path / "held.py"
    script.write_text(HELD.format(tests=str(Path(__file__).parent)))
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen([sys.executable, str(script), str(photos)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=path) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"ready\n"
        others = psutil.Process(held.pid).children(recursive=True)
        held.kill()
    assert len(others) == 4, "two that decode, one that starts them, one that looks after shared memory"
    assert all(is_gone(process.pid, seconds=60) for process in others)
