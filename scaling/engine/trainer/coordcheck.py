"""The coordinate check: how far a model moves in a few steps, against width or depth.

In a parametrization that transfers, a coordinate of the last hidden state moves equally far at
every shape; where it moves further the larger the model, the best learning rate falls with size
(arXiv 2203.03466, appendix D.1; 2505.01618, figure 2). The last state is a sum over all tensors, so
one tensor that moves too far can hide in it: each is watched by its own size, too.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.config import ConfigError, ModelConfig, OptimizerConfig
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import ENGINES, Member, State
from scalinglab.scaling.model.architecture import PARAMETRIZATIONS, Architecture
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.parametrization import VECTORS, check_optimizer, role_of
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import training_bytes

VOCAB, BATCH = 32, 8


@dataclass(frozen=True)
class CoordinateCheck:
    """What is compared. The first width and depth are the base.

    Attributes
    ----------
    widths, depths : sequence of int
        Widths at the first depth, and depths at the first width.
    parametrizations : sequence of str
        Which ones.
    model : ModelConfig
        All else about the network.
    optimizer : OptimizerConfig
        With its LR, which is the base's.
    steps, seeds : int
        Updates on one batch of tokens without structure, and initial weights averaged over.
    """

    widths: Sequence[int]
    depths: Sequence[int]
    parametrizations: Sequence[str]
    model: ModelConfig
    optimizer: OptimizerConfig
    steps: int = 4
    seeds: int = 3


def coordinate_check(check: CoordinateCheck) -> list[dict[str, Any]]:
    """Train each shape a few steps.

    Returns
    -------
    list of dict
        ``parametrization``, ``axis`` (width or depth), ``width``, ``depth``; the mean absolute
        change of a coordinate of the last hidden state, ``hidden``, and of the ``logits``; and
        ``tensors``, name -> how far each tensor moved in its natural size (`tensor_movement`).
        Tensors of the same place in all blocks are one, ``blocks.*.up.weight``: their mean.

    Raises
    ------
    ConfigError
        If a shape or an optimizer is not possible, before anything is trained.
    """
    _check(check)
    cells = [
        (name, axis, _architecture(check, name, axis, value))
        for name in check.parametrizations
        for axis, values in (("width", check.widths), ("depth", check.depths))
        if len(values) > 1
        for value in values
    ]
    for name in check.parametrizations:
        check_optimizer(name, check.optimizer)
    for _, _, architecture in cells:
        _check_memory(check, architecture)
    return [
        {
            "parametrization": name,
            "axis": axis,
            "width": architecture.shape.width,
            "depth": architecture.shape.depth,
            **_movement(check, architecture),
        }
        for name, axis, architecture in cells
    ]


def _check(check: CoordinateCheck) -> None:
    for key in ("steps", "seeds"):
        if getattr(check, key) < 1:
            raise ConfigError(f"{key} = {getattr(check, key)}: allowed is 1 or more")
    if check.optimizer.lr is None:
        raise ConfigError("optimizer.lr is not set: a coordinate check needs the base's")
    if not check.parametrizations:
        raise ConfigError(
            f"parametrizations = []: allowed are one or more of {', '.join(PARAMETRIZATIONS)}"
        )
    sizes = (len(check.widths), len(check.depths))
    if min(sizes) < 1 or max(sizes) < 2:
        raise ConfigError(
            f"widths = {check.widths}, depths = {check.depths}: nothing to compare; "
            "allowed are two or more of one of them, and a base of the other"
        )


def _check_memory(check: CoordinateCheck, architecture: Architecture) -> None:
    """All seeds of a shape are trained at once, each with its weights before and after."""
    shape, memory = architecture.shape, machine.memory_bytes()
    needed = training_bytes(architecture, BATCH, check.seeds, check.optimizer.name)
    if needed > memory:
        raise ConfigError(
            f"width {shape.width}, depth {shape.depth}, seeds = {check.seeds}: "
            f"training takes about {needed / 1e9:.3g} GB, the machine has "
            f"{memory / 1e9:.3g} GB; give smaller widths, depths or seeds"
        )


def _architecture(check: CoordinateCheck, name: str, axis: str, value: int) -> Architecture:
    base: dict[str, Any] = {"width": check.widths[0], "depth": check.depths[0]}
    model = dataclasses.replace(
        check.model,
        parametrization=name,
        base_width=base["width"],
        base_depth=base["depth"],
        **base | {axis: value},
    )
    return architecture_of(model, VOCAB)


def _movement(check: CoordinateCheck, architecture: Architecture) -> dict[str, Any]:
    """Mean absolute change after the steps, over seeds, tokens and coordinates; of tensors, too."""
    tokens = np.random.default_rng(0).integers(VOCAB, size=(BATCH, architecture.shape.context + 1))
    members = [Member(seed, check.optimizer) for seed in range(check.seeds)]
    engine = ENGINES["eager"](architecture, members)
    model = Transformer(architecture)
    before = [_weights(engine.state(i)) for i in range(check.seeds)]
    engine.train(
        np.broadcast_to(tokens, (check.steps, check.seeds, *tokens.shape)).copy(),
        np.full((check.steps, check.seeds), check.optimizer.lr),
        torch.Tensor.backward,
    )
    after = [_weights(engine.state(i)) for i in range(check.seeds)]
    moved = [
        [
            float((y - x).abs().mean())
            for x, y in zip(_outputs(model, old, tokens), _outputs(model, new, tokens), strict=True)
        ]
        for old, new in zip(before, after, strict=True)
    ]
    hidden, logits = np.mean(moved, axis=0)
    tensors: dict[str, list[float]] = {}
    for old, new in zip(before, after, strict=True):
        for name, weights in new.items():
            place = re.sub(r"^blocks\.\d+\.", "blocks.*.", name)
            moved_by = tensor_movement(architecture, name, weights - old[name])
            tensors.setdefault(place, []).append(moved_by)
    return {
        "hidden": float(hidden),
        "logits": float(logits),
        "tensors": {place: float(np.mean(by)) for place, by in tensors.items()},
    }


def _weights(state: State) -> dict[str, Tensor]:
    return {
        key.removeprefix("weight/"): value.clone()
        for key, value in state.items()
        if key.startswith("weight/")
    }


def tensor_movement(architecture: Architecture, name: str, change: Tensor) -> float:
    """How far a change of a tensor moves a coordinate of what the tensor gives.

    The root mean square of what it writes directly (gains, biases, rows of the embedding); of a
    matrix, which meets inputs of unit coordinates that are aligned with its change, the spectral
    norm times sqrt(columns / rows) (arXiv 2310.17813, condition 1). Both stay under a
    parametrization that transfers.

    Parameters
    ----------
    architecture : Architecture
    name : str
        Of the tensor.
    change : Tensor
        Its weights after training less those before.
    """
    if role_of(name, tuple(change.shape)) in (*VECTORS, "embedding"):
        return float(change.square().mean().sqrt())
    rows, columns = change.shape[-2:]
    multiplier = architecture.head_multiplier if name.startswith("head") else 1.0
    norm = float(torch.linalg.matrix_norm(change, ord=2).mean())  # over experts
    return multiplier * norm * math.sqrt(columns / rows)


@torch.no_grad()
def _outputs(
    model: Transformer, weights: dict[str, Tensor], tokens: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Last hidden state and logits under some weights."""
    model.load_state_dict(weights)
    hidden = model.hidden(torch.from_numpy(tokens[:, :-1]))
    return hidden, model.logits(hidden)
