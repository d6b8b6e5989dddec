"""Distance and angle of the weights from an earlier checkpoint."""

from __future__ import annotations

import math

from torch import Tensor

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.distance import BEFORE, Distance

Sums = tuple[float, float, float, float]  # |w - w0|^2, |w0|^2, |w|^2, <w, w0>


@PROBED_BY.register("distance")
def distance(probe: Distance, reading: Reading) -> dict[str, float]:
    """``distance``, ``relative``, ``angle`` in degrees, and ``norm`` of all matrices together.

    ``since=before`` also gives the angle per step.

    Gains and biases are left out of the sums: they begin as ones and zeros.
    """
    now, start = reading.weights(), reading.weights(0)
    sums = {name: _sums(now[name].double(), start[name].double()) for name in start}
    matrices = [values for name, values in sums.items() if now[name].dim() > 1]
    whole = tuple(map(sum, zip(*matrices, strict=True)))
    numbers = dict(zip(("distance", "relative", "angle", "norm"), _of(*whole), strict=True))
    if probe.since == BEFORE:  # what a step turns the weights by, on average: an effective rate
        steps = reading.places[-1][1] - reading.places[0][1]
        numbers["angle_a_step"] = numbers["angle"] / steps if steps else 0.0
    if probe.each:
        for name, values in sums.items():
            _, relative, angle, _ = _of(*values)
            numbers |= {f"relative.{name}": relative, f"angle.{name}": angle}
    return numbers


def _sums(now: Tensor, start: Tensor) -> Sums:
    squares = ((now - start).square(), start.square(), now.square(), now * start)
    gone, before, norm, product = (float(values.sum()) for values in squares)
    return gone, before, norm, product


def _of(gone: float, before: float, norm: float, product: float) -> Sums:
    distance, size = math.sqrt(gone), math.sqrt(before * norm)
    relative = distance / math.sqrt(before) if before else math.nan
    angle = math.degrees(math.acos(max(-1.0, min(1.0, product / size)))) if size else math.nan
    return distance, relative, angle, math.sqrt(norm)
