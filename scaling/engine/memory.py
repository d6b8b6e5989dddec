"""How much memory a training takes, estimated before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scaling.config import ConfigError, RunConfig
from scaling.engine.step_options import StepOptions
from scaling.model.architecture import Architecture
from scaling.model.counts import parameter_counts
from scaling.records import machine

# Floats of moments for each weight of hidden matrices, and for each of the rest. SOAP keeps four
# square matrices beside two moments: 6 of a square matrix, 10.5 of one of 4 d x d.
MOMENT_FLOATS: Mapping[str, tuple[float, float]] = {
    "adamw": (2, 2), "nadamw": (2, 2), "adamp": (2, 2), "schedule_free": (2, 2),
    "sgd": (1, 1), "lion": (1, 1), "normalized": (1, 1), "adafactor": (0, 0),
    "muon": (1, 2), "soap": (9, 2),
}  # fmt: skip
# Floats kept for the backward pass, a token. A unit of width in a block: queries, keys, values,
# attention and the two branches; and what normalises them. A unit of the MLP's width: before and
# after the activation, and of the gate. A symbol at the head: logits, log-softmax, its gradient.
BLOCK_FLOATS = 6
NORM_FLOATS: Mapping[str, int] = {"rmsnorm": 2, "layernorm": 1, "none": 0}
MLP_FLOATS: Mapping[str, int] = {"relu": 1, "relu2": 2, "gelu": 2, "swiglu": 4, "geglu": 4}
HEAD_FLOATS = 3
IN_PASSING = 1.25  # gradients of what is kept, while they live


def training_bytes(
    architecture: Architecture,
    batch: int,
    members: int = 1,
    optimizer: str = "adamw",
    options: StepOptions = StepOptions(),
) -> int:
    """Bytes of fp32 state and activations of one training process, without its libraries.

    In bf16 it takes less: its products are kept in half the bytes.
    """
    counts = parameter_counts(architecture)
    hidden, rest = MOMENT_FLOATS[optimizer]
    moments = hidden * counts["n_block"] + rest * (counts["n_total"] - counts["n_block"])
    state = 2 * counts["n_total"] + moments  # weight, gradient
    shape = architecture.shape
    tokens = batch * shape.context
    block = IN_PASSING * _block_floats(architecture)
    # Of what is computed again the inputs are kept, and one block at a time is there.
    blocks = shape.depth * shape.width + block if options.recompute else shape.depth * block
    head = min(tokens, options.loss_chunk or tokens) * HEAD_FLOATS * shape.vocab
    return int(4 * members * (state + tokens * blocks + head))


def _block_floats(architecture: Architecture) -> int:
    """Kept of a token by one block."""
    norm = NORM_FLOATS[architecture.norm]
    attention, mlp = architecture.norms(architecture.shape.depth - 1)
    outside = sum((n.input + n.output + n.sum) for n in (attention, mlp)) + attention.inner
    heads = 2 * NORM_FLOATS["rmsnorm"] * architecture.qk_norm
    heads += NORM_FLOATS["rmsnorm"] * architecture.value_norm + architecture.head_gains
    width = BLOCK_FLOATS + heads + norm * outside
    hidden = MLP_FLOATS[architecture.activation] + norm * mlp.inner
    return width * architecture.shape.width + hidden * architecture.shape.mlp_width


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
    at_once = min(share, execution.micro_batch or share)
    options = StepOptions(loss_chunk=execution.loss_chunk, recompute=execution.recompute)
    needed = training_bytes(
        architecture, at_once, optimizer=config.optimizer.name, options=options
    )
    shape = architecture.shape
    if needed > machine.memory_bytes():
        raise ConfigError(
            f"model.width = {shape.width}, model.depth = {shape.depth}, batch = {config.batch}: "
            f"training takes about {needed / 1e9:.3g} GB; this machine has "
            f"{machine.memory_bytes() / 1e9:.3g} GB"
        )
