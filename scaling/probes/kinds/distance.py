"""Distance and angle of the weights from an earlier checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scalinglab.scaling.fields import setting
from scalinglab.scaling.probes.probe import PROBES, Probe

START, BEFORE = "start", "before"


@PROBES.register("distance")
@dataclass(frozen=True, kw_only=True)
class Distance(Probe):
    """Distance and angle of the weights from their start, or from the checkpoint before.

    Small distance and angle mean lazy training (arXiv 1812.07956); weight decay balances angles of
    weights (arXiv 2305.17212).
    """

    since: str = setting(START, (START, BEFORE))
    each: bool = False  # of each tensor, too

    def reads(self, step: int, kept: Sequence[int]) -> list[int]:
        """The step from which the distance is measured, and the step itself."""
        if self.since == START or step == 0:
            return [0, step]
        earlier = [0, *(at for at in kept if at < step)]
        return [earlier[-1], step]
