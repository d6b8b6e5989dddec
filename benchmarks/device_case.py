"""What every section of ``device.py`` works with: device and sizes, findings, free memory."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any

import torch
from loops import Setting, transformer

from scalinglab.scaling.run.step_options import StepOptions

Finding = dict[str, Any]
DEPTHS = {256: 6, 512: 8}  # other widths: 4


@dataclass(frozen=True)
class DeviceCase:
    """Device, sizes and time of a section."""

    device: str
    quick: bool
    seconds: float

    @property
    def toy(self) -> bool:
        """Whether sizes are toys."""
        return self.quick or self.device == "cpu"

    def setting(self, width: int, precision: str = "bf16", **named: Any) -> Setting:
        """A small model of a width."""
        batch, context, depth = (2, 16, 1) if self.toy else (32, 256, DEPTHS.get(width, 4))
        shape = transformer(depth, width, min(width, 64 if width >= 256 else 32), context, 256)
        return Setting(shape, batch, self.device, options=StepOptions(precision), **named)


def finding(what: str, figure: str, value: Any = None, aim: float | None = None) -> Finding:
    """A finding, as a dictionary for its line of JSON."""
    return {"what": what, "figure": figure, "value": value, "aim": aim}


def free() -> None:
    """Free the engines before, which hold each other in reference cycles: the next needs memory."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reset_peak(device: str) -> None:
    """Reset the record of peak memory, on GPUs."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
