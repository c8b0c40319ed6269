"""Where the images of a batch come from: they lie on the device, or stay on disk and are decoded ahead of it by other processes."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmark.beside import end_with_parent
from benchmark.errors import DataError, SkewbenchError
from benchmark.machine import usable_cores
from benchmark.records import Decoder, Images, StreamedImages

STREAMED_BATCH = 256
"""Streamed images evaluated at a time, at most: they are large."""
AHEAD = 2
"""Batches that each decoding process prepares before they are asked for."""
MOST_WORKERS = 16
_PRELOADED = ["torch.utils.data", "PIL.Image", "pydantic"]
"""What decoding processes need, imported once for all of them. Nothing of ours: the process that does it may find another copy."""


class DecoderDied(SkewbenchError):
    """A decoding process is gone, and not by our will."""


class Streamed:
    """Images of a data set that stays on disk, on their way to a device. Nothing is kept of them but the paths of their files."""

    def __init__(self, images: StreamedImages, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self.shape = (len(images.paths), *images.decoder.shape)
        """N, C, H, W, as if they were one tensor."""
        self._paths, self._decoder = images.paths, images.decoder
        self._workers = default_workers(self.device) if images.workers is None else images.workers

    @contextlib.contextmanager
    def decoded(self, order: Iterable[Tensor], number: int, *, augment: int | None) -> Iterator[Iterator[Tensor]]:
        """For each of `number` vectors of rows, in order: uint8 [B, C, H, W] on the host, in pinned memory if the device is a GPU.

        `augment` is the seed of what is random in training images; None: as in testing. The numbers that an image gets depend on the seed,
        the place of its batch in the order and its place in the batch alone. At the end of the context all decoding processes are gone.
        DataError, naming the file, for a broken image.
        """
        workers = min(self._workers, number)
        loader = DataLoader(
            _Decoded(self._decoder),
            batch_size=None,  # the sampler gives whole batches
            sampler=_Tasks(self._paths, self._decoder.draws, order, augment),
            num_workers=workers,
            multiprocessing_context=_context() if workers else None,
            prefetch_factor=AHEAD if workers else None,
            worker_init_fn=_end_with_parent,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the global one, which is the training's
        )
        with contextlib.closing(_received(loader, self.device)) as batches:
            yield batches


ImageSource = Tensor | Streamed
"""Images on the device, or those that come to it batch by batch."""


def placed(images: Images | StreamedImages, device: str) -> ImageSource:
    """A data set's images for a device: all of them on it in uint8, or streamed to it."""
    if isinstance(images, StreamedImages):
        return Streamed(images, device)
    array = images.images_NCHW
    if isinstance(array, np.memmap) and not array.flags.writeable:  # torch wants writable memory: map it again, copy on write
        assert array.filename is not None
        array = np.memmap(array.filename, dtype=np.uint8, mode="c", offset=array.offset, shape=array.shape)
    return torch.from_numpy(array).to(device)


def parts(inputs: ImageSource, rows: Tensor, batch: int) -> Generator[Tensor]:
    """Inputs of these rows on the device, in order, at most `batch` at a time. Streamed images are seen as in testing."""
    if isinstance(inputs, Tensor):
        yield from (inputs[part] for part in torch.split(rows, batch))
        return
    order = torch.split(rows.cpu(), min(batch, STREAMED_BATCH))
    with inputs.decoded(order, len(order), augment=None) as batches:
        for images in batches:
            yield images.to(inputs.device, non_blocking=True)


def default_workers(device: torch.device) -> int:
    """Decoding processes for a device: a GPU gets its share of the cores; on a CPU decoding and training want the same ones."""
    return min(MOST_WORKERS, max(1, usable_cores() // torch.cuda.device_count())) if device.type == "cuda" else 1


class _Task(NamedTuple):
    """What one batch is made of: all that a decoding process is told."""

    paths: list[str]
    draws_BD: NDArray[np.float64] | None


class _Tasks:
    """The batches to decode, one after another."""

    def __init__(self, paths: Sequence[str], draws: int, order: Iterable[Tensor], augment: int | None) -> None:
        self._paths, self._order = paths, order
        self._draws, self._augment = draws, augment

    def __iter__(self) -> Iterator[_Task]:
        for number, rows in enumerate(self._order):
            yield _Task([self._paths[row] for row in rows.tolist()], self._random(number, len(rows)))

    def _random(self, number: int, size: int) -> NDArray[np.float64] | None:
        """Random numbers of a batch: Philox counts, so that batches need not be drawn in order."""
        if self._augment is None or not self._draws:
            return None
        return np.random.Generator(np.random.Philox(key=self._augment, counter=[0, 0, 0, number])).random((size, self._draws))


class _Decoded(Dataset[Tensor | str]):
    """Batches by what they are made of. It lives in the decoding processes."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def __getitem__(self, task: _Task) -> Tensor | str:
        """A batch, or what is wrong with an image: torch would bury an exception in a traceback."""
        draws: Iterable[NDArray[np.float64] | None] = [None] * len(task.paths) if task.draws_BD is None else task.draws_BD
        try:
            return torch.from_numpy(np.stack([self._decoder(path, each) for path, each in zip(task.paths, draws, strict=True)]))
        except DataError as error:
            return str(error)


def _received(loader: DataLoader[Tensor | str], device: torch.device) -> Generator[Tensor]:
    """What the processes of a loader send. They end with this generator."""
    pinning = torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
    with pinning:  # memory is pinned for the current GPU
        batches = iter(loader)
    try:
        for found in batches:
            if isinstance(found, str):
                raise DataError(found)
            yield found
    except (RuntimeError, OSError, EOFError) as error:
        if not _is_death(error):
            raise
        raise DecoderDied(
            f"a process that decoded images has died ({error}). Most often memory ran out, or /dev/shm, through which batches come, is too "
            "small: free some, give a container more (docker run --shm-size), or set `workers` of the data set lower (0: no such process)."
        ) from error
    finally:
        del batches  # torch ends its processes when nothing holds this


def _end_with_parent(_: int) -> None:
    """In a decoding process: torch watches the one that forked it, which stays."""
    end_with_parent()


def _is_death(error: Exception) -> bool:
    """Whether a decoding process is gone, as torch tells it: in words of its own, or by a broken connection to the process."""
    if str(error).startswith("Caught "):  # it lives and has raised this itself
        return False
    words = ("exited unexpectedly", "killed by signal")
    return isinstance(error, ConnectionError | FileNotFoundError | EOFError) or any(each in str(error) for each in words)


def _context() -> multiprocessing.context.BaseContext:
    """Processes forked from a clean one: forking this one, with its threads and its GPU, may hang, and starting each anew takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context
