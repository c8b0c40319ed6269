"""Which GPUs a run may use, and how many workers each takes. No torch here: NVIDIA's management library answers, or there is none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.tasks import Slot

CONTEXT_MIB = 600
"""What a process takes on a GPU before its first tensor: context and kernels."""
USABLE = 0.9
"""Share of a GPU's memory that workers are planned into."""
MOST_PER_GPU = 4
"""More workers than this on one GPU are not begun unasked: they take turns rather than run side by side."""


@dataclass(frozen=True)
class Gpu:
    """A GPU in CUDA's numbering, under CUDA_DEVICE_ORDER=PCI_BUS_ID and CUDA_VISIBLE_DEVICES."""

    index: int
    name: str
    total_mib: float


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA would see."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        everything = [
            (str(pynvml.nvmlDeviceGetUUID(each)), str(pynvml.nvmlDeviceGetName(each)), pynvml.nvmlDeviceGetMemoryInfo(each).total / 2**20)
            for each in handles
        ]
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    return chosen_gpus(everything, os.environ.get("CUDA_VISIBLE_DEVICES"))


def chosen_gpus(everything: Sequence[tuple[str, str, float]], visible: str | None) -> tuple[Gpu, ...]:
    """The GPUs (UUID, name, MiB; in PCI order) that CUDA_VISIBLE_DEVICES leaves, numbered as CUDA numbers them.

    As in CUDA, a word that names no GPU ends the list: `0,-1,1` is GPU 0 alone.
    """
    if visible is None:
        return tuple(Gpu(index, name, total) for index, (_, name, total) in enumerate(everything))
    found: list[tuple[str, str, float]] = []
    for word in visible.split(","):
        text = word.strip()
        if text.isdigit() and int(text) < len(everything):
            found.append(everything[int(text)])
            continue
        matching = [each for each in everything if text.startswith("GPU-") and each[0].startswith(text)]
        if len(matching) != 1:
            break
        found += matching
    return tuple(Gpu(index, name, total) for index, (_, name, total) in enumerate(found))


def gpu_slots(gpus: Sequence[Gpu], need_mib: float | None, *, workers: int | None = None, threads: int = 1) -> tuple[Slot, ...]:
    """One worker per GPU; more where the measured peak of the stages (`need_mib`, without CUDA's context) is known to fit more often.

    `workers`: this many in all instead, dealt out evenly.
    """
    if workers is not None:
        count = [workers // len(gpus) + (place < workers % len(gpus)) for place in range(len(gpus))]
    else:
        count = [_fitting(gpu, need_mib) for gpu in gpus]
    return tuple(
        Slot(f"cuda:{gpu.index} #{number + 1}", f"cuda:{gpu.index}", threads, free_mib=USABLE * gpu.total_mib / most)
        for number in range(max(count, default=0))  # the first of each GPU, then the second: few stages spread over the GPUs
        for gpu, most in zip(gpus, count, strict=True)
        if number < most
    )


def _fitting(gpu: Gpu, need_mib: float | None) -> int:
    if need_mib is None:
        return 1
    return min(MOST_PER_GPU, max(1, int(USABLE * gpu.total_mib // (need_mib + CONTEXT_MIB))))
