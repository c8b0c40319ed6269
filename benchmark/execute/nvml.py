"""What NVIDIA's management library says of a GPU. Optional at run time: no library or no driver means no answer."""

from __future__ import annotations

from collections.abc import Mapping


def describe(uuid: str) -> Mapping[str, str | float]:
    """Driver, total memory (MiB) and power limit (W) of the GPU with this UUID (CUDA's numbering is not NVML's); empty without NVML."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
        return {
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "device_memory_mib": pynvml.nvmlDeviceGetMemoryInfo(handle).total / 2**20,
            "device_power_limit_w": pynvml.nvmlDeviceGetPowerManagementLimit(handle) / 1000,
        }
    except pynvml.NVMLError:  # a virtual or partitioned GPU answers only some of these
        return {}
    finally:
        pynvml.nvmlShutdown()
