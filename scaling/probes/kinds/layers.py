"""The loss with layers skipped, swapped, parallel or removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import PROBES, Probe
from scalinglab.scaling.records.spec import RunSpec

SKIP, SWAP, PARALLEL, REMOVE = "skip", "swap", "parallel", "remove"


@PROBES.register("layers")
@dataclass(frozen=True, kw_only=True)
class Layers(Probe):
    """Validation loss with layers skipped, swapped with the next, parallel to it, or removed.

    ``skip``: each layer by itself; ``swap``: each with the one after it; ``parallel``: each and the
    next read the same and their outputs add up (arXiv 2407.09298). ``remove``: 1 to `most`
    successive layers, at each number those whose input and output are most alike in angle (arXiv
    2403.17887).
    """

    do: str = setting(SKIP, (SKIP, SWAP, PARALLEL, REMOVE))
    most: int = setting(4, AT_LEAST_1, used_with=("do", (REMOVE,)))

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a network of a single layer."""
        depth = run.shape.depth
        if depth < 2:
            raise ConfigError(
                f"probe = 'layers': run {run.run_id} has model.depth = {depth}; allowed is 2 "
                "or more"
            )
