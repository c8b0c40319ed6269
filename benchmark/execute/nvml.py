"""What NVIDIA's management library says of a GPU. Optional at run time: no library or no driver means no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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


class Counter:
    """Energy, utilisation and memory of one GPU over a span of time. What the GPU does not tell is absent."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._energy = self._ask("nvmlDeviceGetTotalEnergyConsumption")

    def read(self, seconds: float) -> dict[str, float]:
        """Joules and mean watts since it was made; now: utilisation (percent, over the driver's last window), memory in use, throttling."""
        found: dict[str, float] = {}
        energy = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        if energy is not None and self._energy is not None and seconds > 0:
            joules = (energy - self._energy) / 1000
            found |= {"energy_j": joules, "mean_power_w": joules / seconds}
        utilisation, memory = self._ask("nvmlDeviceGetUtilizationRates"), self._ask("nvmlDeviceGetMemoryInfo")
        reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        if utilisation is not None:
            found["gpu_utilisation"] = float(utilisation.gpu)
        if memory is not None:
            found["device_used_mib"] = memory.used / 2**20
        if reasons is not None:
            found["gpu_throttled"] = float(bool(reasons & _slowed()))
        return found

    def _ask(self, function: str) -> Any:
        """One of the library's answers, None where it has none."""
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        try:
            return getattr(pynvml, function)(pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{self._uuid}"))
        except pynvml.NVMLError:
            return None
        finally:
            pynvml.nvmlShutdown()


def _slowed() -> int:
    """The throttle reasons that make a time untrustworthy: power, heat, hardware; not an idle GPU or a chosen clock."""
    import pynvml

    names = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown", "HwPowerBrakeSlowdown")
    return sum(getattr(pynvml, f"nvmlClocksThrottleReason{name}", 0) for name in names)
