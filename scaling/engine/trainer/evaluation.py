"""The weights of a checkpoint that validation is measured with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer, build_optimizer
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.optimizers.optimizer import member_settings
from scalinglab.scaling.records.spec import RunSpec


def evaluation_weights(run: RunSpec, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Weights and persistent buffers by name, as the run's optimizer has them evaluated.

    Schedule-free optimizers evaluate an average of what they trained.
    """
    trained = _of_kind(checkpoint.state, "weight/")
    buffers = _of_kind(checkpoint.state, "buffer/")
    if UPDATES[run.optimizer.name].evaluation_weights is Optimizer.evaluation_weights:
        return trained | buffers
    settings = member_settings(run.optimizer.name, run.optimizer.settings)
    shapes = {name: tensor.shape for name, tensor in trained.items()}
    rules = tensor_rules(run.architecture, settings)
    optimizer = build_optimizer([settings], shapes, rules, "cpu")
    for kind, moment in optimizer.moments.items():
        tensors = split(moment, shapes) if isinstance(moment, Tensor) else moment
        for name, tensor in tensors.items():
            tensor[0].copy_(checkpoint.state[f"{kind}/{name}"])
    rows = torch.cat([tensor.flatten() for tensor in trained.values()])[None]
    averages = split(optimizer.evaluation_weights(rows), shapes)
    return {name: stacked[0] for name, stacked in averages.items()} | buffers


def _of_kind(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    return {key.removeprefix(kind): state[key] for key in state if key.startswith(kind)}
