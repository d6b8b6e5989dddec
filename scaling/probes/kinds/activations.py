"""Outliers of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe, stream_floats
from scalinglab.scaling.records.spec import RunSpec


@PROBES.register("activations")
@dataclass(frozen=True, kw_only=True)
class Activations(Probe):
    """Kurtosis of the features and largest size of the residual stream after each block.

    Kurtosis: the fourth moment over the squared second of the features' mean squares (arXiv
    2405.19279). Sizes far above the median are massive activations (arXiv 2402.17762).
    """

    memory_options: ClassVar[tuple[str, ...]] = ("windows",)

    windows: int = setting(8, AT_LEAST_1)  # of the validation set

    def held_floats(self, run: RunSpec) -> float:
        """The streams of all blocks."""
        return stream_floats(run, self.windows)
