"""Workers on GPUs, with GPUs that are not there: the scheduler's side. What a real one does is not measured."""

from __future__ import annotations

import pytest

from benchmark.gpus import CONTEXT_MIB, MOST_PER_GPU, USABLE, Gpu, chosen_gpus, gpu_slots

MACHINE = [("GPU-aaa1", "H100", 80_000.0), ("GPU-aab2", "H100", 80_000.0), ("GPU-ccc3", "T4", 16_000.0)]
TWO = (Gpu(0, "H100", 80_000.0), Gpu(1, "H100", 80_000.0))


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["GPU-aaa1", "GPU-aab2", "GPU-ccc3"]),
        ("", []),
        ("2,0", ["GPU-ccc3", "GPU-aaa1"]),
        ("0,-1,1", ["GPU-aaa1"]),  # a word that names none ends the list, as in CUDA
        ("GPU-ccc3", ["GPU-ccc3"]),
        ("GPU-aa", []),  # of two
        ("7", []),
        (" 1 ", ["GPU-aab2"]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(visible, names):
    sizes = {uuid: total for uuid, _, total in MACHINE}
    found = chosen_gpus(MACHINE, visible)
    assert [gpu.index for gpu in found] == list(range(len(names)))
    assert [gpu.total_mib for gpu in found] == [sizes[each] for each in names]


def test_one_worker_per_gpu_as_long_as_no_memory_has_been_measured():
    assert [slot.device for slot in gpu_slots(TWO, None)] == ["cuda:0", "cuda:1"]


def test_more_per_gpu_where_the_measured_memory_fits_more_often():
    need = USABLE * 80_000 / 2 - CONTEXT_MIB - 1
    slots = gpu_slots(TWO, need)
    assert [slot.name for slot in slots] == ["cuda:0 #1", "cuda:1 #1", "cuda:0 #2", "cuda:1 #2"]  # few stages spread over the GPUs
    assert all(slot.free_mib == USABLE * 80_000 / 2 for slot in slots)
    assert len(gpu_slots(TWO, need + 2)) == 2
    assert len(gpu_slots(TWO, 10.0)) == 2 * MOST_PER_GPU
    assert len(gpu_slots(TWO, 1e9)) == 2  # too large: it is tried, and fails as what it is


def test_gpus_of_different_size_take_different_numbers():
    both = (Gpu(0, "H100", 80_000.0), Gpu(1, "T4", 16_000.0))
    assert [slot.device for slot in gpu_slots(both, 10_000.0)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:0", "cuda:0"]


def test_as_many_workers_as_asked_for_dealt_out_evenly():
    assert [slot.device for slot in gpu_slots(TWO, None, workers=3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [slot.device for slot in gpu_slots(TWO, None, workers=1)] == ["cuda:0"]
