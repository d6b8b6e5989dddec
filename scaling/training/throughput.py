"""The throughput of a training, and its share of the device's peak FLOP/s (MFU)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.model.flops import flops_per_token

# TFLOP/s of dense products in bfloat16 with float32 sums, from NVIDIA's data sheets, which print
# twice as much for 2:4 sparse ones. Word of the device's name -> peak; the first match counts.
PEAK_TFLOPS: Mapping[str, float] = {
    "B200": 2250.0,
    "GH200": 989.4,
    "H200 NVL": 835.5,
    "H200": 989.4,
    "H100 NVL": 835.5,
    "H100 PCIe": 756.0,
    "H100": 989.4,  # SXM5: its name ends with the memory
    "A100": 312.0,
    "A800": 312.0,
    "A40": 149.7,
    "A30": 165.0,
    "A10": 125.0,
    "L40S": 362.0,
    "L4": 121.0,
    "RTX 4090": 165.2,
    "RTX 3090": 71.0,
}


# Peaks for float32, which matrix units do not compute; in TF32 they do at half of bfloat16's rate.
FP32_TFLOPS: Mapping[str, float] = {
    "B200": 75.0,
    "GH200": 67.0,
    "H200 NVL": 60.0,
    "H200": 67.0,
    "H100 NVL": 60.0,
    "H100 PCIe": 51.0,
    "H100": 67.0,
    "A100": 19.5,
    "A800": 19.5,
    "A40": 37.4,
    "A30": 10.3,
    "A10": 31.2,
    "L40S": 91.6,
    "L4": 30.3,
    "RTX 4090": 82.6,
    "RTX 3090": 35.6,
}


def peak_flops(device: str | None) -> float | None:
    """Dense bfloat16 FLOP/s of a device by its name; None for CPUs, parts of GPUs and unknowns."""
    tera = known_of(PEAK_TFLOPS, device)
    return None if tera is None else tera * 1e12


def known_of(table: Mapping[str, float], device: str | None) -> float | None:
    """The entry of a device by its name; None for CPUs, parts of GPUs and unknowns."""
    if device is None or "MIG" in device:
        return None
    names = (name for name in table if re.search(rf"\b{name}\b", device))
    return table.get(next(names, ""))


@dataclass
class Clock:
    """Steps and seconds of an attempt, without the first chunk, which warms up and compiles.

    Attributes
    ----------
    steps_per_second : float or None
        The rate without the first chunk, unless there is no other; None before any chunk.
    """

    steps_per_second: float | None = None
    _chunks: int = 0
    _steps: int = 0
    _seconds: float = 0.0

    def add(self, steps: int, seconds: float) -> None:
        """Add a chunk."""
        if self._chunks == 1:
            self._steps, self._seconds = 0, 0.0
        self._chunks += 1
        self._steps += steps
        self._seconds += seconds
        self.steps_per_second = self._steps / max(self._seconds, 1e-9)


def throughput(
    tokens_per_second: float | None, parts: Mapping[str, float], device: str | None, devices: int
) -> dict[str, Any]:
    """The rates of a training for its record.

    Parameters
    ----------
    tokens_per_second : float or None
        Rate of all members and devices together.
    parts : mapping
        FLOPs a token by part, from ``scalinglab.scaling.model.flops.flop_parts``.
    device : str or None
        Name of the device; there are `devices` of them.

    Returns
    -------
    dict
        ``tokens_per_second``; ``flops_per_second`` by PaLM's count; ``peak_flops`` of all devices,
        dense bfloat16 whatever the run's precision; ``mfu`` by PaLM's count (arXiv 2204.02311,
        appendix B) and ``mfu_causal`` by that of causal attention. What is not known is None.
    """
    peak, rate = peak_flops(device), tokens_per_second
    flops_per_second = {
        c: None if rate is None else rate * flops_per_token(parts, c) for c in ("palm", "causal")
    }
    total = None if peak is None else peak * devices

    def share(count: str) -> float | None:
        flops = flops_per_second[count]
        return None if flops is None or total is None else flops / total

    return {
        "tokens_per_second": rate,
        "flops_per_second": flops_per_second["palm"],
        "peak_flops": total,
        "mfu": share("palm"),
        "mfu_causal": share("causal"),
    }
