"""Stable rank of the matrices."""

from __future__ import annotations

import torch

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.kinds.rank import Rank


@PROBED_BY.register("rank")
def rank(probe: Rank, reading: Reading) -> dict[str, float]:
    """``stable`` and ``stable_min``; of matrices of several experts the mean."""
    shares = {}
    for name, weight in reading.weights().items():
        if weight.dim() < 2 or not name.startswith("blocks."):
            continue
        reading.go_on()
        values = torch.linalg.svdvals(weight.double())
        stable = values.square().sum(-1) / values[..., 0].square()
        shares[name] = float((stable / values.shape[-1]).mean())
    if not shares:
        raise UserError(f"run {reading.spec.run_id}: its network has no blocks with matrices")
    numbers = {"stable": sum(shares.values()) / len(shares), "stable_min": min(shares.values())}
    return numbers | ({f"stable.{n}": s for n, s in shares.items()} if probe.each else {})
