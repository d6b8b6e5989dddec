"""The mean cross-entropy of tokens, of which some are no text and count nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def mean_cross_entropy(logits_NV: Tensor, targets_N: Tensor, excluded: Sequence[int]) -> Tensor:
    """Nats of the targets that are text, over the number of all targets; a scalar.

    Over all of them, so that losses of parts of a batch add up to that of the whole whatever each
    part excludes, and the loss over the bytes of a token, on average over all as well, is that of a
    byte of text exactly.

    Parameters
    ----------
    logits_NV : Tensor
        float32.
    targets_N : Tensor
    excluded : sequence of int
        Targets that are no text, as what ends a document.
    """
    if not excluded:
        return F.cross_entropy(logits_NV, targets_N)
    losses_N = F.cross_entropy(logits_NV, targets_N, reduction="none")
    for token in excluded:
        losses_N = torch.where(targets_N == token, 0.0, losses_N)
    return losses_N.mean()
