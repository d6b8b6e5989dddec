"""The rise of the loss after removing layers, by their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from scalinglab.scaling.engine.probes.kinds.layers import (
    ANGLE_WINDOWS,
    angular_distances,
    changed,
    pass_on,
)
from scalinglab.scaling.engine.probes.model import Model, hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.depth import POSITIONS, Depth


@PROBED_BY.register("depth")
def depth(probe: Depth, reading: Reading) -> dict[str, float]:
    """``rise.<layers removed>.<the first>``, or ``rise.<layers removed>.<strategy>``.

    Also ``angle.<layers removed>.<the first>`` of the same layers, ``least.<layers removed>``, the
    least rise, and ``contribution.<layer>``.
    """
    model, windows = reading.model(), reading.windows()[:ANGLE_WINDOWS]
    whole = reading.loss(model)
    layers = len(model.blocks)
    numbers = {f"contribution.{i}": value for i, value in enumerate(contributions(model, windows))}
    angles = angular_distances(model, windows) if probe.do == POSITIONS else {}
    for count in range(1, min(probe.most, layers - 1) + 1):
        if probe.do == POSITIONS:
            places: Mapping[str, Iterable[int]] = {
                str(i): range(i, i + count) for i in range(layers - count + 1)
            }
            numbers |= {f"angle.{count}.{i}": float(a) for i, a in enumerate(angles[count])}
        else:
            places = strategies(layers, count)
        rises = {}
        for name, removed in places.items():
            reading.go_on()
            with changed(model, dict.fromkeys(removed, pass_on)):
                rises[name] = reading.loss(model) - whole
        numbers |= {f"rise.{count}.{name}": rise for name, rise in rises.items()}
        numbers[f"least.{count}"] = min(rises.values())
    return numbers


def strategies(layers: int, count: int) -> dict[str, Iterable[int]]:
    """Which layers each strategy removes (arXiv 2004.03844, figure 1).

    >>> {name: list(removed) for name, removed in strategies(6, 2).items()}
    {'top': [4, 5], 'bottom': [0, 1], 'alternate': [3, 5], 'symmetric': [2, 3]}
    """
    removed = {
        "top": range(layers - count, layers),
        "bottom": range(count),
        "alternate": range(layers + 1 - 2 * count, layers, 2),
        "symmetric": range((layers - count) // 2, (layers + count) // 2),
    }
    return {name: places for name, places in removed.items() if places[0] >= 0}


@torch.no_grad()
def contributions(model: Model, windows: np.ndarray) -> list[float]:
    """Norm of what each block adds over that of the stream before it, the mean over all tokens."""
    ratios: list[list[float]] = [[] for _ in model.blocks]

    def keep(place: int, inputs: tuple[Any, ...], output: Any) -> None:
        before = model.stream(inputs[0]).double()
        added = model.stream(output).double() - before
        ratios[place].append(float((added.norm(dim=-1) / before.norm(dim=-1)).mean()))

    with hooked(model.blocks, keep):
        for _ in model.logits(windows):
            pass
    return [sum(values) / len(values) for values in ratios]
