"""Where something was computed: hardware, versions, threads. Times are comparable only where this agrees."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark
from benchmark.errors import UserError
from benchmark.execute.nvml import describe

_LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Machine:
    """The device and the number of threads that stages run with."""

    device: str
    """`cpu` or `cuda:N`."""
    threads: int

    @functools.cached_property
    def context(self) -> Mapping[str, Any]:
        """Host, processor, device, threads, precision, versions of libraries and of the code. JSON."""
        import torch

        is_cuda = self.device.startswith("cuda")
        return {
            "host": socket.gethostname(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "device": self.device,
            "device_name": torch.cuda.get_device_name(self.device) if is_cuda else processor(),
            "threads": self.threads,
            "precision": "float32",
            "flush_denormal": True,
            "system": platform.platform(),
            "python": platform.python_version(),
            "skewbench": benchmark.__version__,
            "code_version": _code_version(),
            **(describe(str(torch.cuda.get_device_properties(self.device).uuid)) if is_cuda else {}),
            **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        }


def choose_machine(device: str = "auto", threads: int = 1) -> Machine:
    """The machine for `--device` (auto, cpu, cuda, cuda:N): auto takes the first GPU there is. Sets torch's threads and numerics.

    One thread is the default: it repeats to the bit and does not collapse on a busy machine.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats only with it, and reads it once
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if re.fullmatch(r"cuda(:\d+)?", device, re.ASCII):
        if not torch.cuda.is_available():
            raise UserError(f"--device {device}: torch sees no CUDA device here (is CUDA_VISIBLE_DEVICES empty?). Use --device cpu.")
        index = int(device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UserError(f"--device {device}: there are {torch.cuda.device_count()} CUDA devices, counted from 0.")
        device = f"cuda:{index}"
    elif device != "cpu":
        raise UserError(f"unknown device '{device}': expected auto, cpu, cuda or cuda:N.")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32: torch's default rounds a convolution's inputs to ten bits
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_deterministic_debug_mode("error")  # `use_deterministic_algorithms` imports the compiler: a quarter of a second
    return Machine(device, threads)


def processor() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return found[0] if found else platform.processor()


@functools.cache
def _code_version() -> str:
    """The git commit of the checkout that skewbench runs from, `+dirty` if it has changes; its version if it is no checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return benchmark.__version__
    try:
        ask = ["git", "-C", str(root), "describe", "--always", "--dirty=+dirty", "--abbrev=12"]
        return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return benchmark.__version__
