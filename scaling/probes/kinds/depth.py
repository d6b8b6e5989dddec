"""The rise of the loss after removing layers, by their place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe
from scalinglab.scaling.records.spec import RunSpec

POSITIONS, STRATEGIES = "positions", "strategies"


@PROBES.register("depth")
@dataclass(frozen=True, kw_only=True)
class Depth(Probe):
    """Loss after removing 1 to `most` successive layers at each place.

    ``positions``: every place, with the angle between the streams before and after (arXiv
    2403.17887); ``strategies``: the last layers, the first, every second, those in the middle
    (arXiv 2004.03844). Beside it the contribution of each layer: what it adds to the stream over
    the stream's size (arXiv 2505.13898).
    """

    do: str = setting(POSITIONS, (POSITIONS, STRATEGIES))
    most: int = setting(4, AT_LEAST_1)  # layers that are removed together

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a network of a single layer."""
        depth = run.shape.depth
        if depth < 2:
            raise ConfigError(
                f"probe = 'depth': run {run.run_id} has model.depth = {depth}; allowed is 2 or more"
            )
