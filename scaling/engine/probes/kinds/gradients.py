"""The gradient of the next batch, layer by layer."""

from __future__ import annotations

import math
import re

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.gradients import Gradients

_LAYER = re.compile(r"blocks\.(\d+)\.")


@PROBED_BY.register("gradients")
def gradients(probe: Gradients, reading: Reading) -> dict[str, float]:
    """``norm``, ``norm.<layer or tensor>``, ``rms_min`` of all tensors, ``below_epsilon``."""
    found = reading.model().gradients(reading.next_batch())
    squares: dict[str, float] = {}
    smallest, below, entries = math.inf, 0.0, 0
    epsilon = probe.epsilon or reading.spec.optimizer.settings.get("epsilon")
    for name, gradient in found.items():
        wide = gradient.double()
        layer = _LAYER.match(name)
        place = layer[1] if layer else name.removesuffix(".weight")
        squares[place] = squares.get(place, 0.0) + float(wide.square().sum())
        smallest = min(smallest, float(wide.square().mean().sqrt()))
        entries += wide.numel()
        if epsilon is not None:
            below += float((wide.abs() < epsilon).sum())
    numbers = {f"norm.{place}": math.sqrt(square) for place, square in squares.items()}
    numbers |= {"norm": math.sqrt(sum(squares.values())), "rms_min": smallest}
    return numbers if epsilon is None else numbers | {"below_epsilon": below / entries}
