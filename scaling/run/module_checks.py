"""Checks of a run with a person's own network, before it is planned."""

from __future__ import annotations

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import ModuleNetwork
from scalinglab.scaling.run.measurements import MEASUREMENTS

# Measurements that look at the modules and names of the shipped network.
OF_BLOCKS = ("activations", "parts", "singular_values")


def check_module(network: ModuleNetwork, config: RunConfig) -> None:
    """Build a network, rehearse two steps of it, and refuse what does not work with it.

    Raises
    ------
    ConfigError
        Naming the target or the key, and the way out.
    """
    execution = config.execution
    for key, value in (("loss_chunk", execution.loss_chunk), ("recompute", execution.recompute)):
        if value:
            raise ConfigError(
                f"execution.{key} = {value} clashes with model.target: it takes the blocks and the "
                "head of the shipped network apart; execution.micro_batch saves memory of any"
            )
    for name in execution.measure:
        if name in OF_BLOCKS:
            allowed = [n for n in MEASUREMENTS if MEASUREMENTS.is_shipped(n) and n not in OF_BLOCKS]
            raise ConfigError(
                f"execution.measure = [{name}] looks at the blocks of the shipped network; allowed "
                f"with model.target are {', '.join(allowed)} and your own"
            )
    rehearsed, buffers = network.rehearsed, network.census.buffers
    if execution.processes > 1 and (rehearsed.draws or buffers):
        why = "draws random numbers" if rehearsed.draws else f"has the buffers {', '.join(buffers)}"
        raise ConfigError(
            f"execution.processes = {execution.processes}: {network.target} {why}, which processes "
            "that share a batch would have each for itself; allowed is 1"
        )
