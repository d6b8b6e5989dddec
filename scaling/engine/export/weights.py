"""The weights of a checkpoint that validation is measured with."""

from __future__ import annotations

import torch
from torch import Tensor

from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer, build_optimizer
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint
from scalinglab.scaling.model.counts import tensor_sizes
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.optimizers.optimizer import member_settings
from scalinglab.scaling.records.spec import RunSpec


def evaluation_weights(run: RunSpec, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Weights by name, as the run's optimizer has them evaluated: schedule-free has an average."""
    state, sizes = checkpoint.state, tensor_sizes(run.architecture)
    trained = {name: state[f"weight/{name}"] for name in sizes}
    if UPDATES[run.optimizer.name].evaluation_weights is Optimizer.evaluation_weights:
        return trained
    settings = member_settings(run.optimizer.name, run.optimizer.settings)
    shapes = {name: torch.Size(size) for name, size in sizes.items()}
    rules = tensor_rules(run.architecture, settings)
    optimizer = build_optimizer([settings], shapes, rules, "cpu")
    for part, held in optimizer.moments.items():
        tensors = split(held, shapes) if isinstance(held, Tensor) else held
        for name, tensor in tensors.items():
            tensor[0].copy_(state[f"{part}/{name}"])
    rows = torch.cat([trained[name].flatten() for name in shapes])[None]
    return {name: t[0] for name, t in split(optimizer.evaluation_weights(rows), shapes).items()}
