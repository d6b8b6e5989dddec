"""Loss on a validation set."""

from __future__ import annotations

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.validation import Validation


@PROBED_BY.register("validation")
def validation(probe: Validation, reading: Reading) -> dict[str, float]:
    """Loss in nats per token, and bits per byte."""
    if probe.store is None and probe.tokens is None:
        return reading.losses(reading.loss(reading.model()))
    count = probe.tokens or reading.spec.data.validation_tokens
    store = reading.store_of(probe.store, count)
    return reading.losses(reading.model().loss(reading.windows(probe.store, probe.tokens)), store)
