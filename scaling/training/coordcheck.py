"""The coordinate check: how far the hidden state moves in a few steps, against width or depth.

In a parametrization that transfers, a coordinate of the last hidden state moves equally far at
every shape; where it moves further the larger the model, the best learning rate falls with size
(arXiv 2203.03466, appendix D.1; 2505.01618, figure 2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scaling.config import ConfigError, ModelConfig, OptimizerConfig
from scaling.engine.eager import ENGINES, Member, State
from scaling.model.architecture import Architecture
from scaling.model.dial import architecture_of
from scaling.model.parametrization import check_optimizer
from scaling.model.transformer import Transformer
from scaling.optimizer_settings import SETTINGS, Settings, optimizer_science

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
        ``parametrization``, ``axis`` (width or depth), ``width``, ``depth``, and the mean absolute
        change of a coordinate of the last hidden state, ``hidden``, and of the ``logits``.

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
        check_optimizer(name, check.optimizer.name)
    science = optimizer_science(check.optimizer)
    settings = SETTINGS[science.pop("name")](**science)
    return [
        {"parametrization": name, "axis": axis, "width": architecture.shape.width,
         "depth": architecture.shape.depth, **_movement(check, architecture, settings)}
        for name, axis, architecture in cells
    ]


def _check(check: CoordinateCheck) -> None:
    for key in ("steps", "seeds"):
        if getattr(check, key) < 1:
            raise ConfigError(f"{key} = {getattr(check, key)}: allowed is 1 or more")
    if check.optimizer.lr is None:
        raise ConfigError("optimizer.lr is not set: a coordinate check needs the base's")
    sizes = (len(check.widths), len(check.depths))
    if min(sizes) < 1 or max(sizes) < 2:
        raise ConfigError(f"widths = {check.widths}, depths = {check.depths}: nothing to compare; "
                          "allowed are two or more of one of them, and a base of the other")


def _architecture(check: CoordinateCheck, name: str, axis: str, value: int) -> Architecture:
    base = {"width": check.widths[0], "depth": check.depths[0]}
    model = dataclasses.replace(
        check.model, parametrization=name, base_width=base["width"], base_depth=base["depth"],
        **base | {axis: value},
    )
    return architecture_of(model, VOCAB)


def _movement(
    check: CoordinateCheck, architecture: Architecture, settings: Settings
) -> dict[str, float]:
    """Mean absolute change after the steps, over seeds, tokens and coordinates."""
    tokens = np.random.default_rng(0).integers(VOCAB, size=(BATCH, architecture.shape.context + 1))
    engine = ENGINES["eager"](architecture, [Member(s, settings) for s in range(check.seeds)])
    model = Transformer(architecture)
    before = [_outputs(model, engine.state(i), tokens) for i in range(check.seeds)]
    engine.train(
        np.broadcast_to(tokens, (check.steps, check.seeds, *tokens.shape)).copy(),
        np.full((check.steps, check.seeds), check.optimizer.lr), torch.Tensor.backward,
    )
    after = [_outputs(model, engine.state(i), tokens) for i in range(check.seeds)]
    moved = [[float((y - x).abs().mean()) for x, y in zip(*pair, strict=True)]
             for pair in zip(before, after, strict=True)]
    hidden, logits = np.mean(moved, axis=0)
    return {"hidden": float(hidden), "logits": float(logits)}


@torch.no_grad()
def _outputs(model: Transformer, state: State, tokens: np.ndarray) -> tuple[Tensor, Tensor]:
    """Last hidden state and logits under the weights of a state."""
    model.load_state_dict({key.removeprefix("weight/"): value for key, value in state.items()
                           if key.startswith("weight/")})
    hidden = model.hidden(torch.from_numpy(tokens[:, :-1]))
    return hidden, model.logits(hidden)
