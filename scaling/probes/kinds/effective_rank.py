"""Effective rank of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import AT_LEAST_1, Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe, stream_floats
from scalinglab.scaling.records.spec import RunSpec


@PROBES.register("effective_rank")
@dataclass(frozen=True, kw_only=True)
class EffectiveRank(Probe):
    """Effective rank of the residual stream after each block, as a share of its width.

    The exponential of the entropy of the singular values of the centred features, over their sum
    (Roy and Vetterli 2007). Beside it the utilised rank: the share of directions that hold `kept`
    of the variance (arXiv 2407.04797).
    """

    memory_options: ClassVar[tuple[str, ...]] = ("windows",)

    windows: int = setting(8, AT_LEAST_1)  # of the validation set
    kept: float = setting(0.99, Within(0, 1, open=True))  # of the variance

    def held_floats(self, run: RunSpec) -> float:
        """The streams of all blocks."""
        return stream_floats(run, self.windows)
