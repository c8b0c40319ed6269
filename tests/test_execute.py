"""Where stages run and what is measured of them."""

from __future__ import annotations

import numpy as np
import pytest
import small
import torch

from benchmark.errors import UserError
from benchmark.execute.context import choose_machine
from benchmark.execute.nvml import describe
from benchmark.execute.profiling import Meter
from benchmark.execute.stages import Executor
from benchmark.ledger import Ledger
from benchmark.places import default_folders


def test_the_context_says_where_a_number_comes_from():
    context = choose_machine("cpu", 1).context
    assert context["device"] == "cpu"
    assert context["threads"] == torch.get_num_threads() == 1
    assert context["torch"] == torch.__version__.partition("+")[0] or context["torch"] == torch.__version__
    assert {"host", "processor", "python", "code_version", "numpy", "precision"} <= context.keys()


@pytest.mark.parametrize("device", ["gpu", "mps", "cuda:x", "cuda:", "cuda:-1", "cuda:0 ", "cudafoo", "cuda0", "cpu:0", ""])
def test_unknown_devices(device):
    with pytest.raises(UserError, match=f"unknown device '{device}'"):
        choose_machine(device)


def test_float32_is_float32():
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    choose_machine("cpu", 1)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_stage_leaves_other_devices_and_the_global_generator_alone(tmp_path, monkeypatch):
    """Two GPUs that no stage on the CPU may touch: naming them would fail here, where there are none."""
    planned, _ = small.plan(tmp_path, small.cells(["none"]))
    executor = Executor(choose_machine("cpu"), default_folders(None))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    before = torch.get_rng_state()
    executor.run(planned.cells[0].work.last.chain[0], {}, lambda *_: None)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error_and_nvml_has_no_answer():
    with pytest.raises(UserError, match="sees no CUDA device"):
        choose_machine("cuda")
    assert choose_machine("auto").device == "cpu"
    assert describe("00000000-0000-0000-0000-000000000000") == {}


def test_peak_memory_is_that_of_the_stage():
    """A known allocation of 512 MiB, touched and let go again, then a stage without it."""
    quiet = Meter("cpu").read()["peak_host_mib"]
    meter = Meter("cpu")
    block = np.ones(512 * 2**20, dtype=np.uint8)
    del block
    with_block = meter.read()
    assert with_block["peak_host_mib"] - quiet == pytest.approx(512, rel=0.02)
    if with_block["peak_host_exact"]:
        assert Meter("cpu").read()["peak_host_mib"] < quiet + 50


def test_seconds_are_wall_seconds():
    meter = Meter("cpu")
    torch.ones(200, 200) @ torch.ones(200, 200)
    found = meter.read()
    assert 0 < found["seconds"] < 10
    assert found["cpu_seconds"] >= 0


def test_profiles_have_units_and_reach_the_result(tmp_path):
    small.run(tmp_path, small.cells(["none"]))
    with Ledger(tmp_path) as ledger:
        (result,) = ledger.cells("small").values()
    assert {
        "seconds.train",
        "cpu_seconds.train",
        "seconds.predict",
        "peak_host_mib",
        "images_per_second",
        "parameters",
    } <= result.profile.keys()
    assert result.context["device"] == "cpu"
    assert [step for step, _ in result.curve] == [1, 2, 3, 4, 5]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_the_same_bits_twice_on_a_gpu(tmp_path):
    planned, _ = small.plan(tmp_path, small.cells(["none"], iterations=50))
    train, predict = planned.cells[0].work.last.chain
    executor = Executor(choose_machine("cuda"), default_folders(None))
    runs = []
    for _ in range(2):
        weights = executor.run(train, {}, lambda *_: None)
        runs.append(executor.run(predict, weights.arrays, lambda *_: None).arrays["test.scores"])
    assert np.array_equal(*runs)
    assert weights.profile["peak_device_mib"] > 0
