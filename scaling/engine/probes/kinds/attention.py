"""Attention logits and the entropy of attention."""

from __future__ import annotations

from scalinglab.scaling.engine.network.attention_calls import AttentionCalls
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.kinds.attention import Attention


@PROBED_BY.register("attention")
def attention(probe: Attention, reading: Reading) -> dict[str, float]:
    """``logit_max.<layer>``, ``entropy.<layer>``; of all, the largest and the lowest."""
    model, calls = reading.model(), AttentionCalls()
    windows = reading.windows()[: probe.windows]
    for window in windows:
        reading.go_on()
        calls.begin(1 / len(windows))
        with calls:
            for _ in model.logits(window[None]):
                pass
    if not calls.logit_max:
        raise UserError(f"run {reading.spec.run_id}: its network makes no softmax attention")
    numbers = {f"logit_max.{layer}": value for layer, value in enumerate(calls.logit_max)}
    numbers |= {f"entropy.{layer}": value for layer, value in enumerate(calls.entropy)}
    return numbers | {"logit_max": max(calls.logit_max), "entropy_min": min(calls.entropy)}
