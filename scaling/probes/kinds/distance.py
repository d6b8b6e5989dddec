"""How far the weights have gone."""

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

    Little of both is lazy training (arXiv 1812.07956); angles of weights are what weight decay
    balances (arXiv 2305.17212).
    """

    since: str = setting(START, (START, BEFORE))
    each: bool = False  # of each tensor, too

    def reads(self, step: int, kept: Sequence[int]) -> list[int]:
        """Of what it is the distance to, and the step."""
        if self.since == START or step == 0:
            return [0, step]
        earlier = [0, *(at for at in kept if at < step)]
        return [earlier[-1], step]
