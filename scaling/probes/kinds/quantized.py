"""The loss with weights of fewer bits."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("quantized")
@dataclass(frozen=True, kw_only=True)
class Quantized(Probe):
    """Validation loss with the matrices of the blocks rounded to few bits, and its rise.

    Each row is rounded to 2^bits - 1 even steps up to its largest entry, after training, as in the
    law of arXiv 2411.04330. Embeddings, head, gains and biases are not rounded.
    """

    bits: int = setting(4, Within(2, 16))
