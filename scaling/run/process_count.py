"""Checks of ``execution.processes``, before any process is started."""

from __future__ import annotations

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.run.engines import allowed_engines, engine_definition


def check_processes(config: RunConfig) -> None:
    """Refuse a run that ``execution.processes`` cannot share.

    Raises
    ------
    ConfigError
        Names the key, its value and what is allowed.
    """
    execution = config.execution
    if execution.measure and execution.processes > 1:
        raise ConfigError(
            f"execution.measure = {execution.measure}: measured is what one "
            f"process trains; execution.processes = {execution.processes}"
        )
    if execution.processes > config.sequences:
        raise ConfigError(
            f"execution.processes = {execution.processes}: they share a step's "
            f"batch = {config.batch} sequences; allowed is 1 to {config.batch}"
        )
    if execution.shard:
        _check_shard(config)


def _check_shard(config: RunConfig) -> None:
    """Refuse options that ``execution.shard`` does not support."""
    execution = config.execution
    model = config.model
    if not isinstance(model, ModelConfig):
        raise ConfigError(
            "execution.shard = True clashes with model.target: which rows of it are gathered when "
            "is known of the shipped network alone"
        )
    if model.loops > 1:
        raise ConfigError(
            f"execution.shard = True clashes with model.loops = {model.loops}: what the rows "
            "of a block get is gathered after one pass of it"
        )
    if execution.processes == 1:
        raise ConfigError(
            "execution.shard = True: execution.processes = 1 has nobody to share "
            "with; allowed is 2 or more"
        )
    engine = engine_definition(execution.engine)
    if engine is not None and engine.captures:
        raise ConfigError(
            f"execution.engine = {execution.engine!r}: a graph of a step holds no gathering of "
            "weights; allowed with execution.shard = True are "
            f"{allowed_engines(lambda engine: not engine.captures)}"
        )
    if config.sequences % execution.processes:
        raise ConfigError(
            f"batch = {config.batch}: with execution.shard = True all processes take "
            f"equal shares; allowed are multiples of {execution.processes} "
            "(execution.processes)"
        )
