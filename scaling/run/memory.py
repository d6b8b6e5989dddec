"""An estimate of the memory of a training, before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.step_options import StepOptions

HELD_FLOATS = 3  # weight, gradient, multiplier of the decay
# What FSDP has whole for a moment: of a block its weights and those of the next, its gradients and
# the buffer from which they are scattered; and weights and gradients of all outside the blocks.
BLOCKS_GATHERED, OUTSIDE_GATHERED = 4, 3
# Floats kept for the backward pass, a token. A unit of width in a block: queries, keys, values,
# attention and the two branches; and what normalises queries and keys; each part says its own. A
# symbol at the head: logits, log-softmax, its gradient.
BLOCK_FLOATS = 6
HEAD_NORM_FLOATS = 2
HEAD_FLOATS = 3
IN_PASSING = 1.25  # gradients of the kept activations


def training_bytes(
    architecture: Network,
    batch: int,
    members: int = 1,
    optimizer: str = OptimizerConfig.name,
    options: StepOptions = StepOptions(),
    shards: int = 1,
) -> int:
    """Bytes of fp32 state and activations of one training process, without its libraries.

    In bf16 it is less, as products are kept in half the bytes.

    Parameters
    ----------
    architecture : Network
        The model.
    batch : int
        Sequences of a member in one forward and backward pass.
    members : int
        Runs in a pack.
    optimizer : str
        Its name.
    options : StepOptions
        Options that trade time for memory.
    shards : int
        Processes that share the model in parts.
    """
    counts = parameter_counts(architecture)
    passes = activation_floats(architecture, batch, options)
    if shards > 1 and isinstance(architecture, Architecture):
        block = counts["n_block"] / architecture.shape.depth
        outside = counts["n_total"] - counts["n_block"]
        passes += BLOCKS_GATHERED * block + OUTSIDE_GATHERED * outside
    update = (
        OPTIMIZERS[optimizer].update_floats * counts["n_total"] / shards
    )  # after the activations are freed
    return int(4 * members * (state_floats(counts, optimizer, shards) + max(passes, update)))


def least_bytes(
    architecture: Network, optimizer: str, options: StepOptions, shards: int = 1
) -> float:
    """A lower bound for any micro-batch: `training_bytes` of one sequence, less in bf16.

    In bf16 half the bytes of activations may suffice, which has not been measured.
    """
    in_fp32 = training_bytes(architecture, 1, optimizer=optimizer, options=options, shards=shards)
    saved = 2 if options.precision == "bf16" else 0  # bytes of each activation
    return in_fp32 - saved * activation_floats(architecture, 1, options)


def state_floats(counts: Mapping[str, int], optimizer: str, shards: int = 1) -> float:
    """Floats of a run that a process keeps between steps, by ``parameter_counts``."""
    total, block = counts["n_total"], counts["n_block"]
    in_blocks, outside = OPTIMIZERS[optimizer].moment_floats
    state = HELD_FLOATS * total + in_blocks * block + outside * (total - block)
    if shards > 1:
        state += total  # FSDP's copy of the weights
        # Gradients on their way to the owner of a matrix.
        whole = OPTIMIZERS[optimizer].whole
        if "embedding" in whole:
            state += total
        elif whole:
            state += block
    return state / shards


def activation_floats(architecture: Network, batch: int, options: StepOptions) -> float:
    """Floats of a batch that are kept for the backward pass, and of its logits."""
    if isinstance(architecture, ModuleNetwork):
        return IN_PASSING * batch * architecture.context * architecture.census.kept_floats
    shape = architecture.shape
    tokens = batch * shape.context
    block = IN_PASSING * _block_floats(architecture)
    # With recomputation the inputs of all blocks are kept, and the activations of one block.
    passes = architecture.passes
    inputs = architecture.residual_part.stream_floats(architecture)
    blocks = passes * inputs + block if options.recompute else passes * block
    head = min(tokens, options.loss_chunk or tokens) * HEAD_FLOATS * shape.vocab
    return tokens * blocks + head


def _block_floats(architecture: Architecture) -> float:
    """Floats that one block keeps of a token."""
    norm = architecture.norm_part.kept_floats
    attention, mlp = architecture.norms(architecture.shape.depth - 1)
    outside = sum((n.input + n.output + n.sum) for n in (attention, mlp)) + attention.inner
    heads = HEAD_NORM_FLOATS * (2 * architecture.qk_norm + architecture.value_norm)
    heads += architecture.head_gains
    width = BLOCK_FLOATS + heads + norm * outside
    hidden = norm * mlp.inner * architecture.shape.mlp_width
    kept = architecture.residual_part.kept_floats(architecture)
    for branch in architecture.branches:
        linear = architecture.linear_of(branch.slot)
        kept += branch.kept_floats(architecture)
        kept += sum(linear.kept_floats(*size) for size in branch.matrices(architecture).values())
    return width * architecture.shape.width + hidden + kept


def process_bytes(architecture: Network, config: RunConfig, members: int = 1) -> int:
    """Peak bytes of one process that trains a run, or a pack of such runs: `training_bytes`.

    It includes the copy of a checkpoint while it is saved (``scalinglab.scaling.training.saver``),
    which only rank 0 has.
    """
    execution, optimizer = config.execution, config.optimizer.name
    share = math.ceil(config.sequences / execution.processes)
    return copy_bytes(architecture, config, members) + training_bytes(
        architecture,
        min(share, execution.micro_batch or share),
        members,
        optimizer,
        StepOptions(loss_chunk=execution.loss_chunk, recompute=execution.recompute),
        execution.processes if execution.shard else 1,
    )


def copy_bytes(architecture: Network, config: RunConfig, members: int = 1) -> int:
    """Bytes of the copy of a state while it is saved, if it takes memory of the training.

    The copy of a GPU's state is on the host, and parts of a model are written without a copy.
    """
    if config.execution.device != "cpu" or config.execution.shard:
        return 0
    counts = parameter_counts(architecture)
    return int(4 * members * checkpoint_floats(counts, config.optimizer.name))


def checkpoint_floats(counts: Mapping[str, int], optimizer: str) -> float:
    """Floats of a checkpoint, weights and moments, by ``parameter_counts``."""
    in_blocks, outside = OPTIMIZERS[optimizer].moment_floats
    return counts["n_total"] * (1 + outside) + counts["n_block"] * (in_blocks - outside)


def check_memory(
    architecture: Network, config: RunConfig, nodes: int = 1, memory: float | None = None
) -> None:
    """Refuse a run that does not fit into its machines' memory; other devices and programs pass.

    Parameters
    ----------
    architecture, config : Network, RunConfig
        The network and the determined run.
    nodes : int
        Machines with equal numbers of its processes.
    memory : float, optional
        Bytes of each of them. Default: the physical memory of this one.

    Raises
    ------
    ConfigError
        If the processes of one machine need more memory, by the estimate.
    """
    execution = config.execution
    if config.trainer.kind == "command" or execution.device != "cpu":
        return
    processes = math.ceil(execution.processes / nodes)
    memory = machine.memory_bytes() if memory is None else memory
    needed = processes * process_bytes(architecture, config)
    needed -= (processes - 1) * copy_bytes(architecture, config)  # only rank 0 has a copy
    if needed > memory:
        in_processes = ""
        if processes > 1:
            in_processes = (
                f" in {processes} processes (execution.processes = {execution.processes}, "
                f"execution.shard = {execution.shard})"
            )
        raise ConfigError(
            f"{size_in_words(architecture)}, batch = {config.batch}: "
            f"training takes about {needed / 1e9:.3g} GB{in_processes}; the machine has "
            f"{memory / 1e9:.3g} GB"
        )


def size_in_words(architecture: Network) -> str:
    """The keys that make a network large, for messages."""
    if isinstance(architecture, ModuleNetwork):
        options = ", ".join(f"{k} = {v}" for k, v in architecture.options.items())
        return f"model.target = {architecture.target!r} ({options})"
    shape = architecture.shape
    return f"model.width = {shape.width}, model.depth = {shape.depth}"
