"""Small networks with experts, for the tests of their routers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict


def network_of(name: str, options: Iterable[Any] = (), **model: Any) -> Architecture:
    """A network of one block of width 16, with four experts unless `options` say otherwise."""
    chosen = {"name": name, "experts": 4, **dict(options)}
    keys = {"depth": 1, "width": 16, "heads": 2, "context": 12, "feed_forward": chosen, **model}
    return architecture_of(from_dict(ModelConfig, keys), vocab=11)


def part(architecture: Architecture) -> nn.Module:
    """The feed-forward of the first block, with initial weights."""
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return model.blocks[0].feed_forward


def tokens(*size: int, seed: int = 0) -> Tensor:
    """Normal numbers of some size, the same each time."""
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))
