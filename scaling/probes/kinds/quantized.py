"""What fewer bits of the weights cost."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("quantized")
@dataclass(frozen=True, kw_only=True)
class Quantized(Probe):
    """Validation loss with the matrices of the blocks rounded to few bits, and its rise.

    Rounded to the nearest of 2^bits - 1 even steps up to the largest entry of each row, after
    training, as in the law of arXiv 2411.04330; with embeddings, head, gains and biases left as
    they are.
    """

    bits: int = setting(4, Within(2, 16))
