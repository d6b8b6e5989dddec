"""Averages of checkpoints, evaluated as a model."""

from __future__ import annotations

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.average import EMA, Average


@PROBED_BY.register("average")
def average(probe: Average, reading: Reading) -> dict[str, float]:
    """Loss and bits per byte of the mean; weights are added up in float64, oldest first."""
    count = len(reading.places)
    share = probe.decay if probe.kind == EMA else 1.0
    shares = [share ** (count - 1 - i) for i in range(count)]
    total = None
    for i, part in enumerate(shares):
        weights = reading.weights(i)
        scaled = {name: w.double() * (part / sum(shares)) for name, w in weights.items()}
        total = scaled if total is None else {n: total[n] + scaled[n] for n in total}
    assert total is not None
    model = reading.model_of({name: weight.float() for name, weight in total.items()})
    return reading.losses(reading.loss(model))
