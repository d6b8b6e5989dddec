"""The micro-batch: as configured, and halved after each attempt that ran out of memory.

Gradients add up over the parts of a batch, so this changes no result and is no science. An attempt
that ran out of its device's memory says in its end file how many it tried; the next one starts
with half of that. Where it was a pack that ran out, its halves come first
(``scalinglab.sweeps.store.packs``): they change no member's arithmetic and lose little speed, while
a smaller micro-batch slows every step.
"""

from __future__ import annotations

from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.failures import FailureClass


def micro_batch(claim: Claim, configured: int | None, sequences: int) -> int:
    """Sequences of one forward and backward pass of this attempt.

    Parameters
    ----------
    claim : Claim
        The attempt; those before it count.
    configured : int or None
        ``execution.micro_batch``; None means all at once.
    sequences : int
        Sequences of a step in one process.
    """
    size = min(configured or sequences, sequences)
    for number in range(1, claim.number):
        end = claim.folder.attempt(number).end
        if end is None or end.micro_batch is None or end.members > 1:
            continue  # it was killed or is still ending; or its pack was too large
        if end.cause == FailureClass.GPU_OOM:
            size = min(size, max(1, end.micro_batch // 2))
    return size
