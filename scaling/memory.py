"""How much memory a training takes, estimated before it starts."""

from __future__ import annotations

import math

from scaling import machine
from scaling.architecture import Architecture
from scaling.config import ConfigError, RunConfig
from scaling.counts import parameter_counts

STATE_FLOATS = 4  # weight, gradient and two moments of each parameter
# Floats kept for the backward pass: a token and unit of width in a block (norms, q, k, v before and
# after their norm and rotation, attention, residuals: about 18; the MLP's three of width 4 d: 12),
# and a token and symbol at the head (logits, log-softmax and their gradient).
BLOCK_FLOATS = 30
HEAD_FLOATS = 3


def training_bytes(architecture: Architecture, batch: int, members: int = 1) -> int:
    """Bytes of fp32 state and activations of one training process, without its libraries."""
    state = STATE_FLOATS * parameter_counts(architecture)["n_total"]
    shape = architecture.shape
    tokens = batch * shape.context
    activations = tokens * (
        BLOCK_FLOATS * shape.depth * shape.width + HEAD_FLOATS * shape.vocab
    )
    return 4 * members * (state + activations)


def check_memory(architecture: Architecture, config: RunConfig) -> None:
    """Refuse a run that this machine cannot hold; other devices and programs are not ours to know.

    Raises
    ------
    ConfigError
        If the estimate is above the physical memory.
    """
    execution = config.execution
    if config.trainer.kind == "command" or execution.device != "cpu":
        return
    share = math.ceil(config.batch / execution.processes)
    needed = training_bytes(architecture, min(share, execution.micro_batch or share))
    shape = architecture.shape
    if needed > machine.memory_bytes():
        raise ConfigError(
            f"model.width = {shape.width}, model.depth = {shape.depth}, batch = {config.batch}: "
            f"training takes about {needed / 1e9:.3g} GB; this machine has "
            f"{machine.memory_bytes() / 1e9:.3g} GB"
        )
