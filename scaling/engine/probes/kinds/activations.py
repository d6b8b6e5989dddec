"""Outliers of the residual stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.probes.model import hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.activations import Activations


@PROBED_BY.register("activations")
def activations(probe: Activations, reading: Reading) -> dict[str, float]:
    """``kurtosis.<layer>`` and ``max.<layer>``.

    Of all layers the largest: ``kurtosis``, ``max`` and ``max_over_median``.
    """
    model = reading.model()
    streams: list[list[Tensor]] = [[] for _ in model.blocks]

    def keep(place: int, given: tuple[Any, ...], out: Any) -> None:
        streams[place].append(model.stream(out).detach().double().flatten(0, -2).cpu())

    with hooked(model.blocks, keep):
        for _ in model.logits(reading.windows()[: probe.windows]):
            reading.go_on()
    numbers: dict[str, float] = {}
    ratios = []
    for layer, parts in enumerate(streams):
        x_ND = torch.cat(parts)
        size = x_ND.abs()
        numbers[f"kurtosis.{layer}"] = kurtosis(x_ND)
        numbers[f"max.{layer}"] = float(size.max())
        ratios.append(float(size.max() / size.median()))
    for name in ("kurtosis", "max"):
        numbers[name] = max(v for key, v in numbers.items() if key.startswith(f"{name}."))
    return numbers | {"max_over_median": max(ratios)}


def kurtosis(x_ND: Tensor) -> float:
    """Kurtosis of the features' mean squares: 1 for equal features, D where one has all."""
    squares_D = x_ND.square().mean(0)
    return float(squares_D.square().mean() / squares_D.mean().square())
