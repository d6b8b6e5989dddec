"""The loss with weights of fewer bits."""

from __future__ import annotations

from torch import Tensor

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.kinds.quantized import Quantized


@PROBED_BY.register("quantized")
def quantized(probe: Quantized, reading: Reading) -> dict[str, float]:
    """``loss``, ``bpb`` and ``rise``, what it adds to the loss."""
    weights = reading.weights()
    model = reading.model_of(weights)
    before = reading.loss(model)
    matrices = {name for name, w in weights.items() if w.dim() > 1 and name.startswith("blocks.")}
    if not matrices:
        raise UserError(f"run {reading.spec.run_id}: its network has no blocks with matrices")
    model.take({n: rounded(w, probe.bits) if n in matrices else w for n, w in weights.items()})
    after = reading.loss(model)
    return {**reading.losses(after), "rise": after - before}


def rounded(weight: Tensor, bits: int) -> Tensor:
    """Each row to the nearest of 2^bits - 1 even steps from minus to plus its largest entry."""
    most = 2 ** (bits - 1) - 1
    step = weight.abs().amax(-1, keepdim=True) / most
    return (weight / step.where(step > 0, 1.0)).round().clamp(-most, most) * step
