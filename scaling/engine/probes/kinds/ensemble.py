"""Runs of one recipe with several seeds as one model."""

from __future__ import annotations

import math

import torch

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.ensemble import Ensemble


@PROBED_BY.register("ensemble")
def ensemble(probe: Ensemble, reading: Reading) -> dict[str, float]:
    """``loss``, ``bpb``, the ``members``, and ``member_loss``, the mean of their own losses.

    Only the probability of each target is kept of a member: all members need not be in memory.
    """
    windows = reading.windows()
    parts = []
    for i in range(len(reading.places)):
        model = reading.model(i)
        found = []
        for logits_BTV, targets_BT in model.logits(windows):
            reading.go_on()
            log_p = logits_BTV.double().log_softmax(-1).gather(-1, targets_BT[..., None])[..., 0]
            for token in model.options.excluded:  # they count nothing, as in the loss
                log_p = torch.where(targets_BT == token, 0.0, log_p)
            found.append(log_p.flatten().cpu())
        parts.append(torch.cat(found))
    each = torch.stack(parts)
    together = torch.logsumexp(each, 0) - math.log(len(parts))
    return {
        **reading.losses(float(-together.mean())),
        "members": len(parts),
        "member_loss": float(-each.mean()),
    }
