"""How much memory a training takes, estimated before it starts."""

from __future__ import annotations

from scaling.counts import Shape, parameter_counts

STATE_FLOATS = 4  # weight, gradient and two moments of each parameter
# Floats kept for the backward pass: a token and unit of width in a block (norms, q, k, v before and
# after their norm and rotation, attention, residuals: about 18; the MLP's three of width 4 d: 12),
# and a token and symbol at the head (logits, log-softmax and their gradient).
BLOCK_FLOATS = 30
HEAD_FLOATS = 3


def training_bytes(shape: Shape, batch: int, members: int = 1) -> int:
    """Bytes of fp32 state and activations of one training process, without its libraries."""
    state = STATE_FLOATS * parameter_counts(shape)["n_total"]
    tokens = batch * shape.context
    activations = tokens * (
        BLOCK_FLOATS * shape.depth * shape.width + HEAD_FLOATS * shape.vocab
    )
    return 4 * members * (state + activations)
