"""Effective rank of the residual stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.probes.model import hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.effective_rank import EffectiveRank


@PROBED_BY.register("effective_rank")
def effective_rank(probe: EffectiveRank, reading: Reading) -> dict[str, float]:
    """``effective.<layer>`` and ``utilized.<layer>``, shares of the width, and their means."""
    model = reading.model()
    streams: list[list[Tensor]] = [[] for _ in model.blocks]

    def keep(place: int, inputs: tuple[Any, ...], output: Any) -> None:
        streams[place].append(model.stream(output).detach().double().flatten(0, -2).cpu())

    with hooked(model.blocks, keep):
        for _ in model.logits(reading.windows()[: probe.windows]):
            reading.go_on()
    ranks = [ranks_of(torch.cat(parts), probe.kept) for parts in streams]
    numbers: dict[str, float] = {}
    for name, values in zip(("effective", "utilized"), zip(*ranks, strict=True), strict=True):
        numbers |= {f"{name}.{layer}": value for layer, value in enumerate(values)}
        numbers[name] = sum(values) / len(values)
    return numbers


def ranks_of(x_ND: Tensor, kept: float) -> tuple[float, float]:
    """Effective and utilised rank of features, as shares of their number; 0 where all are alike."""
    singular_D = torch.linalg.svdvals(x_ND - x_ND.mean(0))
    if not singular_D[0] > 0:
        return 0.0, 0.0
    p = singular_D / singular_D.sum()
    entropy = -torch.special.xlogy(p, p).sum()
    variance = singular_D.square().cumsum(0)
    utilized = int((variance < kept * variance[-1]).sum()) + 1
    width = x_ND.shape[1]
    return float(entropy.exp()) / width, utilized / width
